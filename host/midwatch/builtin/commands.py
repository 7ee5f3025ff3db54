"""Whether a command that a model proposes to a person can be shown to one: few programs, few verbs, known names.

A person will copy it. So it is either one command line of a program that is known here, all of whose words are known,
or words that no shell would run. Nothing destructive is let in, whichever way it is written.
"""

import re
from typing import Final

_VERBS: Final = {
    "kubectl": frozenset({
        "get", "describe", "logs", "top", "scale", "cordon", "uncordon", "rollout status", "rollout history",
        "rollout undo", "rollout restart", "rollout pause", "rollout resume",
    }),
    "argocd": frozenset({"app get", "app history", "app diff", "app rollback", "app sync"}),
    "helm": frozenset({"status", "history", "rollback"}),
    "git": frozenset({"log", "show", "diff", "status", "revert"}),
    "systemctl": frozenset({"status", "restart", "reload", "start"}),
    "docker": frozenset({"ps", "logs", "inspect", "restart"}),
}  # fmt: skip
"""What may be run, by its first word or its first two."""
_FLAGS: Final = frozenset({
    "-n", "--namespace", "--to-revision", "--replicas", "--tail", "--since", "--timeout", "--revision", "--no-edit",
})  # fmt: skip
_ALONE: Final = frozenset({"--no-edit"})
_KINDS: Final = frozenset({
    "deployment", "deployments", "deploy", "statefulset", "daemonset", "pod", "pods", "service", "node", "nodes",
    "events", "replicaset", "hpa",
})  # fmt: skip
_WORD: Final = re.compile(r"--?[a-z][a-z-]*(=[\w.:@/-]+)?|[A-Za-z0-9][\w.:@/-]*")
_SENTENCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9 .,:()'/%+@=_-]*")
_NUMBER: Final = re.compile(r"[1-9]\d{0,3}[smh%]?")
_DESTROYS: Final = re.compile(
    r"\b(rm|rmdir|unlink|shred|dd|mkfs\w*|fdisk|delete[ds]?|deleting|drop(s|ped|ping)?|truncat\w+|purg\w+|destroy\w*|wip(e|es|ed|ing)"
    r"|eras\w+|terminat\w+|uninstall\w*|format(s|ted|ting)?|flush\w*|kill\w*|shutdown|halt|poweroff|reboot|force|hard"
    r"|prune|remov\w+|overwrit\w+|disabl\w+ (auth\w*|tls|audit\w*|backup\w*))\b",
    re.IGNORECASE,
)
_SHELLS: Final = re.compile(
    r"\b(sudo|su|sh|bash|zsh|eval|exec|source|curl|wget|nc|ssh|scp|python\d?|perl|ruby|node|base64|xargs|chmod|chown"
    r"|psql|mysql|mongo\w*|redis-cli|aws|gcloud|az|terraform|crontab)\b|://",
    re.IGNORECASE,
)
_BACK: Final = re.compile(
    r"roll(s|ed|ing)?[ -]?back|roll(s|ed|ing)?\b.*\bback|revert|undo|downgrade|previous|earlier|older", re.IGNORECASE
)
_LONGEST_WORD: Final = 64


def fault_of_command(command: str, names: frozenset[str], on_record: frozenset[str], strangers: frozenset[str]) -> str:
    """Return why a command cannot be shown to a person; '' when it can.

    `names` are those that the plan is about, `on_record` versions and objects that are known, `strangers` names of
    what is known and is no part of it.
    """
    if not command or not command.isascii() or not command.isprintable():
        return "a command is plain ASCII, and not empty"
    if found := _DESTROYS.search(command):
        return f"{found[0]!r}: what is destructive is not proposed to anybody"
    program, *words = command.split()
    if program in _VERBS:
        return _fault_of_line(program, words, names, on_record)
    if found := _SHELLS.search(command):
        return f"{found[0]!r}: a command line begins with one of {', '.join(_VERBS)}; all else is said in words"
    return _fault_of_words(command, names, on_record, strangers)


def rolls_back(command: str) -> bool:
    """Return whether a command speaks of going back to what was before."""
    return _BACK.search(command) is not None


def _fault_of_line(program: str, words: list[str], names: frozenset[str], on_record: frozenset[str]) -> str:
    if odd := next((word for word in words if not _WORD.fullmatch(word)), None):
        return f"{odd!r} could mean more to a shell than a name"
    plain, given, flags = _taken_apart(words)
    if unknown := next((flag for flag in flags if flag not in _FLAGS), None):
        return f"{program} is not proposed with {unknown}"
    verb = next((v for v in (" ".join(plain[:2]), " ".join(plain[:1])) if v in _VERBS[program]), None)
    if verb is None:
        return f"{program} is proposed only with {', '.join(sorted(_VERBS[program]))}"
    rest = [*plain[len(verb.split()) :], *given]
    strange = [word for word in rest if not all(_is_known(part, names, on_record) for part in word.split("/"))]
    if strange:
        return f"nothing on record that this plan is about is called {strange[0][:60]!r}"
    named = any(part in names or part in on_record for word in rest for part in word.split("/"))
    return "" if named else "it names nothing that this plan is about"


def _taken_apart(words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the words of a command line that are no flags, the values of its flags, and its flags."""
    plain: list[str] = []
    given: list[str] = []
    flags: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if word.startswith("-"):
            flag, _, value = word.partition("=")
            flags.append(flag)
            given += [value] if value else []
        elif before.startswith("-") and "=" not in before and before not in _ALONE:
            given.append(word)
        else:
            plain.append(word)
    return plain, given, flags


def _is_known(word: str, names: frozenset[str], on_record: frozenset[str]) -> bool:
    return word in names or word in on_record or word.lower() in _KINDS or _NUMBER.fullmatch(word) is not None


def _fault_of_words(text: str, names: frozenset[str], on_record: frozenset[str], strangers: frozenset[str]) -> str:
    if not _SENTENCE.fullmatch(text):
        return "words for a person have no characters that a shell reads"
    said = re.findall(r"[\w.:@-]+", text)
    words = {word.strip(".,:'") for word in said}
    if program := next((name for name in _VERBS if name in words), None):
        return f"a command line of {program} stands alone, without words around it"
    if odd := next((word for word in words if len(word) > _LONGEST_WORD and word not in on_record), None):
        return f"{odd[:40]!r}… is no word"
    if other := sorted(words & strangers):
        return f"{other[0]} is not what this plan is about"
    return "" if words & names else "it names nothing that this plan is about"
