"""Let suppressions hold for families: what parents and children tell each other, as events of `routing-events`.

Relatives lie in different partitions. A child reports its gates to its parent, and the parent tells each child which
gates hold for the parent or for another child.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from resegment.schemas.routing import AccountEvent, ChildReport, Family, FamilyNews, RoutedState, Switch

Gates = tuple[str, ...]


def gates_of_relatives(state: RoutedState) -> frozenset[str]:
    """Return the gates that hold for the parent, a child or a sibling of the account."""
    family = state.family
    if family is None:
        return frozenset()
    return frozenset(family.relatives).union(*(gates for _, _, gates in family.children.values()))


def own_gates(state: RoutedState, shared: Collection[str]) -> Gates:
    """Return the account's own gates that count for its relatives."""
    return tuple(gate for gate in state.active_gates if gate in shared)


def tell_relatives(
    name: str,
    state: RoutedState,
    before: Gates,
    own: Gates,
    parent: str | None,
    now: int,
    switch: Switch | None = None,
) -> list[AccountEvent]:
    """Return what to tell relatives after the account's gates changed from `before` to `own`, or its parent did.

    `switch` is the new version of the definition that changed them, if one did.
    """
    if state.family is None:
        if parent is None:
            return []
        state.family = Family()
    family = state.family
    at, sequence = state.gates_at, state.gates_sequence
    events: list[AccountEvent] = []
    if family.parent != parent:
        if family.parent is not None:
            report = ChildReport(
                account=family.parent, at=at, child=name, sequence=sequence, left=True, switch=switch
            )
            events.append(report)
        family.parent, family.told, family.heard, family.relatives = parent, None, 0, ()
    if parent is not None and family.told != own:
        events.append(
            ChildReport(account=parent, at=at, child=name, sequence=sequence, gates=own, switch=switch)
        )
        family.told = own
    views = _view(before, family.children), _view(own, family.children)
    return events + _tell_children(name, family, *views, now, switch)


def apply_report(
    name: str, state: RoutedState, report: ChildReport, own: Gates, now: int
) -> list[AccountEvent]:
    """Record the gates of a child; return what to tell the children. An older report changes nothing."""
    family = state.family = state.family or Family()
    children = family.children
    known = children.get(report.child)
    if known is not None and (report.at, report.sequence) < known[:2]:
        return []
    before = _view(own, children)
    if report.left:
        children.pop(report.child, None)
    else:
        children[report.child] = (report.at, report.sequence, report.gates)
        before[report.child] = ()  # it may have forgotten what it was told
    return _tell_children(name, family, before, _view(own, children), now, report.switch)


def apply_news(state: RoutedState, news: FamilyNews) -> bool:
    """Record what the parent says; return False if it is not the parent, or the news is not new."""
    family = state.family
    if family is None or family.parent != news.parent or news.number <= family.heard:
        return False
    family.heard, family.relatives = news.number, news.gates
    return True


def _view(own: Gates, children: Mapping[str, tuple[int, int, Gates]]) -> dict[str, Gates]:
    """Return for each child the gates that hold for the parent or for another child."""
    holding = Counter(own)
    for _, _, gates in children.values():
        holding.update(gates)
    return {
        child: tuple(sorted(gate for gate, count in holding.items() if count > gates.count(gate)))
        for child, (_, _, gates) in children.items()
    }


def _tell_children(
    name: str,
    family: Family,
    before: Mapping[str, Gates],
    after: Mapping[str, Gates],
    now: int,
    switch: Switch | None,
) -> list[AccountEvent]:
    changed = {child: gates for child, gates in after.items() if before.get(child, ()) != gates}
    if not changed:
        return []
    family.news = max(family.news + 1, now)
    return [
        FamilyNews(account=child, at=now, parent=name, number=family.news, gates=gates, switch=switch)
        for child, gates in changed.items()
    ]
