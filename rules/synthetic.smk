# Synthetic pairs with known concepts, in the format of embeddings, under the language model's name `synthetic`.


def synthetic_slice(w):
    entry = CONFIG.synthetic[w.dataset]
    return json_of(dataset=w.dataset, kind=entry.kind, params=entry.dump)


rule make_synthetic:
    input:
        code=lambda w: code("make_synthetic.py", f"shiftscope.synthetic.{CONFIG.synthetic[w.dataset].kind}"),
    output:
        embeddings="results/embeddings/synthetic/{dataset}/embeddings.safetensors",
        manifest="results/embeddings/synthetic/{dataset}/manifest.json",
    log:
        "results/logs/make_synthetic/{dataset}.log",
    benchmark:
        "results/benchmarks/make_synthetic/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(CONFIG.synthetic),
    resources:
        mem_mb=1000,
    params:
        slice=synthetic_slice,
    message:
        "synthetic pairs {wildcards.dataset}"
    shell:
        "{PYTHON} {input.code[0]} --embeddings {output.embeddings} --manifest {output.manifest}"
        " --params {params.slice:q} --code {input.code} --log {log}"
