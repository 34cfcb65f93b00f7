rule report:
    output: "results/report/index.html"
    shell: "false"
