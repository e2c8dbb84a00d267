import sys, tempfile, shutil
from pathlib import Path
from rich.console import Console
from tests.chaos import report
from tests.chaos.campaign import Campaign
from tests.chaos.faults import FAULTS
from tests.chaos.neighbours import Neighbours
from tests.chaos.target import Target, build
f=Path(tempfile.mkdtemp(prefix="chaos-"))
try:
    a=build(("tiny-policy","tiny-text"), f/"models", print)
    with Target(f,a,True,small_disk=True) as t, Neighbours(t,40.0) as n:
        c=Campaign(t,n,1,40.0,print)
        for fault in FAULTS: 
            c.fault(fault)
            print(report.markdown(c.phases[-1:]).splitlines()[-1], report.summary(c.phases[-1:]), flush=True)
        c.streams(3); c.soak(5); c.stopped.set()
    Console().print(report.table(c.phases), width=200, crop=False); print("\n".join(report.summary(c.phases)))
finally:
    shutil.rmtree(f, ignore_errors=True)
