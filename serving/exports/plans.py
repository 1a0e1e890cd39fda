"""How a list is brought to what it should be: as a whole, or by entrants and leavers.

References
----------
Specification of ad platforms, section 19: lists are replaced as a whole only at Meta, TikTok,
Microsoft, The Trade Desk, Spotify and Google; the others need a computed difference.
"""

from dataclasses import dataclass

from serving.exports.destination import ADD, REMOVE, REPLACE, Destination


@dataclass(frozen=True)
class Plan:
    """What is written of one audience.

    Attributes
    ----------
    action
        Of the files with people of the audience: ``add``, ``remove`` or ``replace``.
    whole
        Whether all people of the audience stand in them, or only those who are not surely on the
        list.
    takes_off
        Whether people who are on the list and not in the audience get files of their own.
    keeps
        Whether people who are not in the audience stay on the list.
    """

    action: str
    whole: bool
    takes_off: bool
    keeps: bool


def plan_of(destination: Destination, action: str | None, *, delta: bool) -> Plan:
    """The plan for a destination.

    Parameters
    ----------
    destination
        What the platform can do.
    action
        ``add``, ``remove`` or ``replace`` where a person says so; None states the whole list.
    delta
        Whether only what has changed is written, where the platform can take a change.
    """
    if action is not None:
        return Plan(action, whole=True, takes_off=False, keeps=action != REPLACE)
    can_take_off = destination.can_remove
    if delta and (can_take_off or not destination.can_replace):
        return Plan(ADD, whole=False, takes_off=can_take_off, keeps=not can_take_off)
    if destination.can_replace:
        return Plan(REPLACE, whole=True, takes_off=False, keeps=False)
    return Plan(ADD, whole=True, takes_off=can_take_off, keeps=not can_take_off)


def wants(plan: Plan) -> bool:
    """Whether the plan wants the people of the audience on the list."""
    return plan.action != REMOVE
