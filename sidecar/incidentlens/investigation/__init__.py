"""Has a language model look at incidents that no runbook settles, within what it may cost.

A tick only writes down the wish (`wishes`). `worker` takes it up outside of any transaction: caps and budgets first,
then the call (`chain`, `asking`), then the checks of `analysis.model`, and at last the conclusion goes through policy
like any other. Everything is kept: what was shown, what was said, what each check struck out.
"""
