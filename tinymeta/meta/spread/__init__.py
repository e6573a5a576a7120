"""Work for many: what one process asks of others, how they are made, and what is done where one fails.

An executor is anything with `submit(f, *args) -> Future`, as in `concurrent.futures`: threads, `Workers` (processes on
this machine), `Dask` (a cluster), or five lines of one's own. What may differ between them is speed.

`gather.py`     results in order, whoever computed them, and calls made again where a worker is lost, late or wrong
`sending.py`    functions, results and errors as bytes, and in words where they can't be
`workers.py`    processes on this machine, one core each
`cluster.py`    workers of `dask.distributed`, wherever they are
"""
