"""Evaluations: how good is it, on labelled cases and public data, beside a plain baseline, with intervals.

An evaluation is a module with one function `evaluate(context) -> Section` (`registry.py` names them all). A section is
figures, tables and the cases that failed; `report.py` writes them as one page, `regression.py` compares two runs.
"""
