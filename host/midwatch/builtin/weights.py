"""Every number the builtin reasoner weighs with, in one place.

Weights are log-odds: +2.2 makes a hypothesis nine times as likely against "something else", -2.2 nine times less.
They were set by hand from what each argument can tell, not fitted to any data: STRONG is an argument that is wrong
about once in twenty times, FAIR once in seven, SLIGHT once in three.

The priors follow one published figure: about 70 % of outages are due to changes in a live system (Beyer et al.,
"Site Reliability Engineering", 2016, chapter 1). The other kinds share the rest.
"""

from midwatch.records import HypothesisKind

STRONG = 3.0
FAIR = 1.8
SLIGHT = 0.7

PRIORS = {
    HypothesisKind.CHANGE: 0.20,
    HypothesisKind.OPERATOR: 0.20,
    HypothesisKind.RESOURCE: 0.10,
    HypothesisKind.DEPENDENCY: 0.08,
    HypothesisKind.TRAFFIC: 0.06,
    HypothesisKind.STATE: 0.08,
    HypothesisKind.ACCESS: 0.08,
    HypothesisKind.PLATFORM: 0.06,
}

SUPPORTED = 0.6
"""A hypothesis at least this likely, by itself, counts as supported."""
READ_ALONE = 0.4
"""The same where nobody measured the symptom, and all that speaks for it was read: it is a best effort in any case."""
REFUTED = 0.05
"""A hypothesis at most this likely counts as refuted even when no single argument kills it."""
WITH_BLIND_SPOT = 0.7
"""Confidence is never above this when a signal that could name a rival could not be looked at (see `caps`)."""
UNREFUTED = 0.5
"""Confidence is never above this when what could have refuted a cause was not there to be looked at (see `caps`)."""

SHIFTED = 3.5
"""A score from here on is a shift (Iglewicz and Hoaglin 1993 recommend 3.5 for modified z scores)."""
LEANS = 1.0
"""A score from here on, in the bad direction, is no shift, but too much to say that an alert about it is mistaken."""
MOST = 0.5
"""A share of the failing traces from here on makes an entity the place where they begin."""
PART = 0.15
"""A share of the failing traces from here on is a trouble of its own, where its place has no tie to the first one's."""
MUCH_MORE = 0.5
"""So many more requests, as a share of those before, are a surge and not a busy minute."""
OUTGROWS = 3.0
"""What grew by a factor so many times that of the requests is not used up by them."""
SOME_MORE = 0.2
"""Fewer more than these, as a share of those before, are as many as before."""
MUCH_SLOWER, FELT_MS = 1.0, 100.0
"""Answers that take so much longer, as a share of before and in milliseconds, are felt whatever an alarm watches."""
MUCH_OF_LIMIT = 50.0
"""So many percent more of its limit in use is a shortage, whatever was usual."""
ACCOUNTS_FOR = 0.25
"""Time lost in a place accounts for a wait from this share of it on: a busy machine slows all that it runs a little."""
SEVERAL = 2.0
"""So many failed requests in a window are no single failure, which happens anywhere."""
GIVES_UP_SECONDS = 1.0
"""Requests that fail where as many times this is lost may have been given up: few callers wait for less than that."""
HOLDS_UP = 0.5
"""Who lost this share of the time that a caller lost may have held it up: who asks again waits again."""
UNWELL_PERCENT = 5.0
"""Who fails such a share of its requests is not well, however long it has done so."""
HARDLY_ASKED = 0.5
"""Asked for at most this share of what it was, by each request of its only caller: the caller does something else."""
HARDLY_ANY = 0.05
"""Who takes so small a share of the requests of before takes none."""
SOUND_REQUESTS = 50
"""From so many sound answers on, a change that is to blame would have had to bite late."""
LIKELY_CHANCE = 0.05
"""What is less likely than this is taken not to have happened by chance."""
FAR_BETTER = 20.0
"""Odds so many times as good rule out a rival for the same place."""
ROLLOUT_SECONDS = 15.0
"""What a change brings about at once shows within this time of its beginning."""
NEARLY_ALL = 0.95
"""One of several instances in which at least this share of a service's failing traces begins fails alone."""
SOON_SECONDS = 300.0
"""A change this long before the onset has lost most of its weight; its weight falls off exponentially."""
TAKES_UP_SECONDS = 120.0
"""A new instance that is ready takes its first request within this time, wherever its siblings take some: a virtual
machine is warm by then, and a scrape a minute has seen it."""
FOLLOWS = 0.7
"""A rank correlation from here on is strong (Schober et al., "Correlation Coefficients", Anesth. Analg. 126, 2018)."""
FAILS_PERCENT = 1.0
"""Old instances at which at least this share of the requests fails fail as well."""
SLACK_SECONDS = 2.0
"""Clocks of different machines agree to within this."""
SCATTER = 3.0
"""So many of its usual deviations of a level are no loss: a figure that always wanders hides what little is lost."""
