"""What others reach on the same sets, as they published it or as their code says when it is run again."""

from collections.abc import Mapping
from dataclasses import dataclass

Row = tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """One table: what it is of, the paper or page, its columns and its rows; scores are shares."""

    of: str
    source: str
    columns: Row
    rows: tuple[Row, ...]


_PETSHOP = Published(
    "low and high traffic, 52 issues; the authors' code, run again on the authors' data",
    'Hardt et al., "The PetShop Dataset", CLeaR 2024 (PMLR 236:957-978)',
    ("method", "top-1", "top-3", "top-5"),
    (
        ("ranked correlation", ".654", ".788", ".788"),
        ("traversal", ".615", ".788", ".827"),
        ("CIRCA", ".327", ".731", ".731"),
        ("RCD", ".154", ".212", ".212"),
        ("random walk", ".000", ".058", ".077"),
        ("epsilon-diagnosis", ".000", ".000", ".000"),
    ),
)
_NEZHA = Published(
    "service level, OnlineBoutique (56 faults) and TrainTicket (45), as published",
    'Yu et al., "Nezha: Interpretable Fine-Grained Root Causes Analysis for Microservices on Multi-modal Observability '
    'Data", ESEC/FSE 2023, table 3',
    ("method", "OB AS@1", "OB AS@3", "OB AS@5", "TT AS@1", "TT AS@3", "TT AS@5"),
    (
        ("Nezha", ".929", ".964", ".964", ".867", ".978", ".978"),
        ("PDiagnose", ".411", ".732", ".821", ".089", ".133", ".222"),
        ("MicroRank", ".411", ".482", ".625", ".156", ".244", ".356"),
        ("TraceAnomaly", ".304", ".339", ".482", ".133", ".289", ".333"),
        ("SBLD", ".196", ".232", ".250", ".156", ".222", ".244"),
        ("LogFaultFlagger", ".196", ".214", ".232", ".178", ".244", ".244"),
        ("MicroRCA", ".161", ".625", ".928", ".200", ".311", ".444"),
        ("MicroScope", ".125", ".411", ".554", ".178", ".267", ".356"),
    ),
)
_CLOUDOPSBENCH = Published(
    "taxonomy, object and root cause all right; Boutique (452 cases) and Train Ticket (204), as published",
    "Cloud-OpsBench, README of github.com/LLM4Ops/Cloud-OpsBench",
    ("method", "Boutique A@1", "Boutique A@3", "Train Ticket A@1", "Train Ticket A@3", "steps B / TT"),
    (
        ("DeepSeek-V3.2", ".73", ".79", ".54", ".58", "10.0 / 11.0"),
        ("GPT-5", ".67", ".75", ".57", ".59", "5.6 / 6.1"),
        ("Claude-4-Sonnet", ".54", ".59", ".58", ".60", "4.3 / 6.6"),
        ("Qwen3-235B", ".54", ".70", ".25", ".30", "5.3 / 7.7"),
        ("GPT-4o", ".51", ".57", ".43", ".45", "5.7 / 5.9"),
        ("Qwen3-14B", ".34", ".43", ".25", ".29", "5.8 / 14.2"),
        ("Qwen3-8B", ".21", ".23", ".26", ".29", "5.5 / 10.6"),
    ),
)
_CHANGERCA = Published(
    "51 cases; the authors' README, and their code run again (it breaks ties at random)",
    'Yu et al., "ChangeRCA: Finding Root Causes from Software Changes in Large Online Systems", FSE 2024',
    ("method", "HR@1", "HR@3", "HR@5"),
    (("ChangeRCA, as published", ".882", "1.0", "1.0"), ("ChangeRCA, run again", ".922", "1.0", "1.0")),
)
_SOCKSHOP = Published(
    "50 cases, CPU and memory; the package RCAEval 1.8.1, run again",
    'Pham et al., "Root Cause Analysis for Microservice System based on Causal Inference: How Far Are We?", ASE 2024; '
    'the data are of Ikram et al., "Root Cause Analysis of Failures in Microservices through Causal Discovery", '
    "NeurIPS 2022",
    ("method", "AC@1", "AC@3", "AC@5"),
    (
        ("BARO", ".94", ".98", ".98"),
        ("n-sigma", ".92", ".98", ".98"),
        ("epsilon-diagnosis", ".26", ".56", ".72"),
        ("RCD", ".22", ".36", ".36"),
        ("random", ".20", ".46", ".62"),
    ),
)
PUBLISHED: Mapping[str, Published] = {
    "changerca": _CHANGERCA,
    "cloudopsbench": _CLOUDOPSBENCH,
    "nezha": _NEZHA,
    "petshop": _PETSHOP,
    "sockshop": _SOCKSHOP,
}
