"""The report of a probe, as Markdown that can be put into an issue. Pure.

It holds the words of the table of questions, numbers, and nothing of the team: no name, address,
id or key, since no value of Apollo's answers gets into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from target_apollo.cli.probe.questions import ALSO_NOT_ASKED, CANNOT_BE_ASKED
from target_apollo.cli.probe.run import Finding
from target_apollo.model.team_profile import TeamProfile


def report_of(
    findings: Sequence[Finding],
    requests: Mapping[str, int],
    profile: TeamProfile,
    *,
    ended_at: str = "",
) -> str:
    """The report.

    Args:
        requests: Requests that were sent, by endpoint.
        ended_at: The endpoint at which the probe ended early; empty: it did not.
    """
    asked = sum(finding.seen is not None for finding in findings)
    lines = [
        "# What this team's Apollo does",
        "",
        f"Asked by `apollo-sync probe` of target-apollo {profile.version} at {profile.host}, "
        f"{profile.asked_at}: {asked} of {len(findings)} questions have an answer.",
    ]
    if ended_at:
        lines += ["", f"The probe ended early, at {ended_at}."]
    lines += [
        "",
        "| Question | A run assumes | Seen | What follows |",
        "|---|---|---|---|",
        *(_row(finding) for finding in findings),
        "",
        "## Not asked",
        "",
        "| Behaviour | Reason |",
        "|---|---|",
        *(f"| `{name}` | {reason} |" for name, reason in CANNOT_BE_ASKED.items()),
        *(f"| {name} | {reason} |" for name, reason in ALSO_NOT_ASKED.items()),
        "",
        "## Requests",
        "",
        "| Endpoint | Requests |",
        "|---|---|",
        *(f"| `{endpoint}` | {count} |" for endpoint, count in sorted(requests.items())),
    ]
    return "\n".join(lines) + "\n"


def _row(finding: Finding) -> str:
    question = finding.question
    cells = [f"{question.text} (`{question.name}`)", question.assumed]
    if finding.seen is None:
        return f"| {' | '.join([*cells, f'not asked: {finding.reason}', ''])} |"
    seen = f"**{finding.seen.answer}**"
    if finding.seen.note:
        seen += f" ({finding.seen.note})"
    return f"| {' | '.join([*cells, seen, question.consequence(finding.seen.answer)])} |"
