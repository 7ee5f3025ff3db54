"""The statistics that surveys share: pure functions over numpy arrays; no fitting, no MCP, no clock.

Times are integers in nanoseconds since the epoch (UTC); periods are in seconds. NaN means missing. Comparisons are
columnar (one array element for each series); `.row(i)` gives one series as plain values, with None for what isn't.

- `compare(baseline, window, *, counts=False, relative_floor=0.05, absolute_floor=0.0, sustained=0.15) -> Comparison`:
  robust shift of each series (rows) of a window against a baseline; the two need not have as many buckets.
- `Comparison` / `Level` (one row): state (`State`), baseline, spread, window, usual, sustained, difference, ratio,
  score, direction, baseline_buckets, window_buckets; `.ranked()` gives row numbers by score.
- `compare_shares(baseline_errors, baseline_total, window_errors, window_total) -> ShareComparison` / `ShareLevel`:
  error shares of many edges at once: baseline, window, difference with lowest and highest (95 %), ratio, score.
- `compare_rates(baseline_events, baseline_seconds, window_events, window_seconds)`: scores of event counts.
- `compare_durations(baseline, baseline_groups, window, window_groups, groups) -> LatencyComparison` / `LatencyLevel`:
  p50 and p95 of raw durations (flat, each with its edge's number) before and in the window, ratios and scores.
- `compare_histograms(bounds, baseline_counts, window_counts) -> LatencyComparison`: the same from bucket counts.
- `level_shifts(values, starts, width, *, counts=False, floor=0.01) -> list[Shift | None]`: when each series (rows,
  baseline and window joined) moved to another level; `starts` are bucket starts, `width` is a bucket's width.
- `share_shifts(errors, totals, starts, width) -> list[Shift | None]`: the same for errors out of totals.
- `Shift`: onset, earliest, latest (95 %), end (None while it lasts), before, after, score, ratio.
- `mask(text) -> str`, `MASKS`, `LONGEST_LINE`: variable parts to placeholders. `MASKS` are RE2-compatible pairs for
  DuckDB: `regexp_replace(text, pattern, replacement, 'g')` for each in order, over `left(text, LONGEST_LINE)`.
- `LogGroup(text, count, first_seen, period, series="", exemplar="")`: lines of one period (`"baseline"` or
  `"window"`), raw one by one or pre-aggregated by masked text, as the backend likes.
- `survey_templates(groups, *, baseline_seconds, window_seconds, ...) -> TemplateSurvey`: every template with what
  became of it (`Novelty`: new, more, vanished, fewer, steady) and exact counts, ranked. `TemplateChange` is one.

Scores are signed, in -100 to 100, and read alike: 3 is worth a look, 5 is clear, 0 is nothing or nothing to compare.
"""

from midwatch_kit.statistics.baseline import Comparison, Level, State, compare
from midwatch_kit.statistics.latency import LatencyComparison, LatencyLevel, compare_durations, compare_histograms
from midwatch_kit.statistics.masks import LONGEST_LINE, MASKS, mask
from midwatch_kit.statistics.onset import Shift, level_shifts, share_shifts
from midwatch_kit.statistics.shares import ShareComparison, ShareLevel, compare_rates, compare_shares
from midwatch_kit.statistics.templates import (
    FURTHER,
    MOST_DISTINCT,
    LogGroup,
    Novelty,
    TemplateChange,
    TemplateSurvey,
    survey_templates,
)

__all__ = [
    "FURTHER",
    "LONGEST_LINE",
    "MASKS",
    "MOST_DISTINCT",
    "Comparison",
    "LatencyComparison",
    "LatencyLevel",
    "Level",
    "LogGroup",
    "Novelty",
    "ShareComparison",
    "ShareLevel",
    "Shift",
    "State",
    "TemplateChange",
    "TemplateSurvey",
    "compare",
    "compare_durations",
    "compare_histograms",
    "compare_rates",
    "compare_shares",
    "level_shifts",
    "mask",
    "share_shifts",
    "survey_templates",
]
