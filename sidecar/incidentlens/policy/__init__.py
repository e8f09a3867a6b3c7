"""Every decision passes here: thresholds, floors, cooldowns, escalation by count. It may overrule a model."""
