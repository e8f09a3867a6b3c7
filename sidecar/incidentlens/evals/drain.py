"""The peer of the signatures: Drain3, with the masks of its own example and its default settings."""

from __future__ import annotations

from collections.abc import Sequence

_BEFORE, _AFTER = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
MASKS = (
    (r"([0-9a-f]{2,}:){3,}([0-9a-f]{2,})", "ID"),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", "IP"),
    (r"([0-9a-f]{6,} ?){3,}", "SEQ"),
    (r"([0-9A-F]{4} ?){4,}", "SEQ"),
    (r"0x[a-f0-9A-F]+", "HEX"),
    (r"[\-\+]?\d+", "NUM"),
)


def available() -> bool:
    """Whether Drain3 is installed here."""
    try:
        import drain3  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def drain(lines: Sequence[str]) -> list[str]:
    """The group that Drain3 puts each line in, learning as it reads."""
    import logging

    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    logging.getLogger("drain3").setLevel(logging.WARNING)  # it tells of every start
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(f"{_BEFORE}{mask}{_AFTER}", name) for mask, name in MASKS]
    miner = TemplateMiner(config=config)
    return [str(miner.add_log_message(line)["cluster_id"]) for line in lines]
