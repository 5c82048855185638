"""Correct and continue: a model's proposals for unlabelled scans, what people decide, and what teaches next."""

from __future__ import annotations

from genesis_core.studies.review.accepting import Accepted, accept, read_accepted, undo
from genesis_core.studies.review.decisions import CaseState, Decision, flag, read_decisions, read_states, reject, unflag
from genesis_core.studies.review.drafts import drop_draft, read_draft, write_draft
from genesis_core.studies.review.proposing import propose
from genesis_core.studies.review.queue import Order, order
from genesis_core.studies.review.ranking import Flag, Place, Proposal, read_proposals
from genesis_core.studies.review.recovering import recover
from genesis_core.studies.review.review import Review

__all__ = [
    "Accepted",
    "CaseState",
    "Decision",
    "Flag",
    "Order",
    "Place",
    "Proposal",
    "Review",
    "accept",
    "drop_draft",
    "flag",
    "order",
    "propose",
    "read_accepted",
    "read_decisions",
    "read_draft",
    "read_proposals",
    "read_states",
    "recover",
    "reject",
    "undo",
    "unflag",
    "write_draft",
]
