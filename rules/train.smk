# Every variant on every dataset: one node trains a block of seeds, all settings of the grid, as one batch of replicas.


def named(names, w):
    """The variants of a job, by the names of its rule, of which one may be a wildcard."""
    found = filled(names, w)
    for name in found:
        if name not in STUDY.variants:
            raise WorkflowError(unknown(f"the variant {name!r} of the config", name, STUDY.variants))
    return {name: STUDY.variants[name] for name in found}


def train_slice(names):
    return lambda w: json_of(
        lm=lm_of(w.lm),
        dataset=w.dataset,
        codes=int(w.codes),
        variants=[
            dict(
                variant=name,
                kind=one.kind,
                settings=one.dumps,
                candidate=name in STUDY.compared_on(w.lm, w.dataset, int(w.codes)),
            )
            for name, one in named(names, w).items()
        ],
        seeds=seeds_of(w.block),
        **({"layer": STUDY.layers_of(lm_of(w.lm))[w.lm]} if w.dataset in STUDY.activations else {}),
    )


def train_modules(script, names):
    """The code of a variant is its class and its way of training: another variant's loop is none of its business."""

    def modules(w):
        variants = named(names, w)
        ways = {kinds.module_of("training", variant.params.training) for variant in variants.values()}
        return modules_of(script, *classes_of(variants), *ways)

    return modules


def jobs_of_training(rule, datasets, places):
    """`(rule, variants, where it is the rule)`: one rule for any variant, and one for those that share a job."""
    yield rule, ["{variant}"], {"dataset": one_of(datasets)}
    for names, places in STUDY.trained_together(places).items():
        here = "|".join(f"{re.escape(lm)}(?=/{re.escape(dataset)}/codes_{codes}/)" for lm, dataset, codes in places)
        yield sharing(rule, rule_name(rule, *names)), list(names), {"lm": f"(?:{here})"}


for name, names, places in jobs_of_training("train", [*STUDY.pairs, *STUDY.synthetic], STUDY.trained_on()):

    rule:
        name:
            name
        input:
            embeddings=ancient(paths.EMBEDDINGS),
            manifest=paths.EMBEDDINGS_MANIFEST,
            modules=train_modules("train.py", names),
        output:
            weights=[paths.MODELS.replace("{variant}", variant) for variant in names],
            sidecars=[paths.MODELS_SIDECAR.replace("{variant}", variant) for variant in names],
        log:
            log_of("train", f"{{lm}}/{{dataset}}/codes_{{codes}}/{names[0]}/seeds_{{block}}"),
        benchmark:
            benchmark_of("train", f"{{lm}}/{{dataset}}/codes_{{codes}}/{names[0]}/seeds_{{block}}")
        wildcard_constraints:
            **places,
        threads: 1  # results are equal to the bit, whatever else is in the block, on one thread
        resources:
            mem_mb=memory_for,
        params:
            slice=train_slice(names),
        message:
            f"train {', '.join(names).replace('{variant}', '{wildcards.variant}')} on {{wildcards.dataset}} of {{wildcards.lm}}, {{wildcards.codes}} codes, seeds {{wildcards.block}}"
        shell:
            "{PYTHON} {input.modules[0]} --embeddings {input.embeddings} --manifest {input.manifest}"
            " --weights {output.weights} --sidecars {output.sidecars}"
            " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"


def memory_of_streaming(names):
    """What the variant of a job that takes most takes: they are trained one after the other."""

    def memory(w, input):
        seeds, codes = len(seeds_of(w.block)), int(w.codes)
        return max(training_mb(Path(input.manifest), one.settings, seeds, codes) for one in named(names, w).values())

    return memory


for name, names, places in jobs_of_training("train_streamed", STUDY.activations, STUDY.streamed_on()):

    rule:
        name:
            name
        input:
            shards=ancient(lambda w: shards_of(w.lm, w.dataset, "train")),
            manifest=paths.STORE,
            modules=train_modules("train_streamed.py", names),
        output:
            weights=[paths.MODELS.replace("{variant}", variant) for variant in names],
            sidecars=[paths.MODELS_SIDECAR.replace("{variant}", variant) for variant in names],
        log:
            log_of("train_streamed", f"{{lm}}/{{dataset}}/codes_{{codes}}/{names[0]}/seeds_{{block}}"),
        benchmark:
            benchmark_of("train_streamed", f"{{lm}}/{{dataset}}/codes_{{codes}}/{names[0]}/seeds_{{block}}")
        wildcard_constraints:
            **places,
        threads: 1  # a seed fixes a result on so many threads
        resources:
            mem_mb=memory_of_streaming(names),
        params:
            slice=train_slice(names),
        message:
            f"train {', '.join(names).replace('{variant}', '{wildcards.variant}')} on activations of {{wildcards.dataset}} by {{wildcards.lm}}, {{wildcards.codes}} codes, seeds {{wildcards.block}}"
        shell:
            "{PYTHON} {input.modules[0]} --manifest {input.manifest} --weights {output.weights} --sidecars {output.sidecars}"
            " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"


for name, names, places in jobs_of_training("train_masked", STUDY.simulations, STUDY.simulated_on()):

    rule:
        name:
            name
        input:
            worlds=ancient(paths.WORLDS),
            manifest=paths.WORLDS_MANIFEST,
            modules=train_modules("train_masked.py", names),
        output:
            weights=[paths.MODELS.replace("{variant}", variant) for variant in names],
            sidecars=[paths.MODELS_SIDECAR.replace("{variant}", variant) for variant in names],
        log:
            log_of("train_masked", f"{{lm}}/{{dataset}}/codes_{{codes}}/{names[0]}/seeds_{{block}}"),
        benchmark:
            benchmark_of("train_masked", f"{{lm}}/{{dataset}}/codes_{{codes}}/{names[0]}/seeds_{{block}}")
        wildcard_constraints:
            **places,
        threads: 1  # results are equal to the bit, whatever else is in the block, on one thread
        resources:
            mem_mb=2000,
        params:
            slice=train_slice(names),
        message:
            f"train {', '.join(names).replace('{variant}', '{wildcards.variant}')} in worlds of {{wildcards.dataset}}, width {{wildcards.codes}}, seeds {{wildcards.block}}"
        shell:
            "{PYTHON} {input.modules[0]} --worlds {input.worlds} --manifest {input.manifest}"
            " --weights {output.weights} --sidecars {output.sidecars}"
            " --params {params.slice:q} --modules {input.modules} --threads {threads} --log {log}"
