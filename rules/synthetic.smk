# Synthetic pairs with known concepts, in the format of embeddings, under the language model's name `synthetic`.


def synthetic_slice(w):
    entry = CONFIG.synthetic[w.dataset]
    return json_of(dataset=w.dataset, kind=entry.kind, params=entry.dump)


rule make_synthetic:
    message:
        "synthetic pairs {wildcards.dataset}"
    input:
        code=lambda w: code("make_synthetic.py", f"shiftscope.synthetic.{CONFIG.synthetic[w.dataset].kind}"),
    output:
        embeddings="results/embeddings/synthetic/{dataset}/embeddings.safetensors",
        manifest="results/embeddings/synthetic/{dataset}/manifest.json",
    params:
        slice=synthetic_slice,
    log:
        "results/logs/make_synthetic/{dataset}.log",
    benchmark:
        "results/benchmarks/make_synthetic/{dataset}.tsv"
    resources:
        mem_mb=1000,
    shell:
        "{PYTHON} {input.code[0]} --embeddings {output.embeddings} --manifest {output.manifest}"
        " --params {params.slice:q} --code {input.code} --log {log}"


ruleorder: make_synthetic > embed_pairs
