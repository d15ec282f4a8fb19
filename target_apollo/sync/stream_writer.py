"""Puts the writer of one stream together from what the run shares and what the stream sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from target_apollo.config.settings import StreamSettings
from target_apollo.model.objects import ObjectType
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Made, Settle, Settling
from target_apollo.sync.create import NewRows
from target_apollo.sync.create_answers import CreateAnswers
from target_apollo.sync.existing import Comparer
from target_apollo.sync.latest_words import LatestWords
from target_apollo.sync.own_records import OwnRecords
from target_apollo.sync.run import Run
from target_apollo.sync.stream_sync import Writer
from target_apollo.sync.update import Updater
from target_apollo.sync.update_rounds import UpdateRounds


def stream_writer(
    run: Run,
    target: ObjectType,
    stream: str,
    own: StreamSettings,
    *,
    policies: Callable[[], Policies],
    settle: Settle,
    settle_created: Callable[[Sequence[Made]], None],
    intend: Callable[[Sequence[Row]], None],
    is_anothers: Callable[[Row, str], bool],
) -> Writer:
    """The writer of a stream.

    Args:
        own: The settings of this stream.
        policies: See `Comparer`.
        settle, settle_created: See `Settling`.
        intend: See `Writer`.
        is_anothers: See `OwnRecords`.
    """
    kind = target.kind.value
    comparer = Comparer(
        client=run.client,
        target=target,
        parallel=run.parallel,
        directory=run.directory,
        policies=policies,
        note_protected=partial(run.report.count_protected, kind),
    )
    settling = Settling(
        target, own.mode, settle, settle_created, partial(run.saying.unwritable, kind)
    )
    latest = LatestWords(target, run.directory)
    records = OwnRecords(own.mode, run.report.started_at, is_anothers)
    answers = CreateAnswers(
        target=target,
        mode=own.mode,
        limits=run.limits,
        comparer=comparer,
        settling=settling,
        latest=latest,
        own=records,
    )
    return Writer(
        client=run.client,
        target=target,
        mode=own.mode,
        intend=intend,
        comparer=comparer,
        settling=settling,
        latest=latest,
        own=records,
        answers=answers,
        new_rows=NewRows(
            client=run.client,
            target=target,
            mode=own.mode,
            batch_size=run.settings.batch_size,
            parallel=run.parallel,
            limits=run.limits,
            reckon=run.reckoner.reckon,
            answers=answers,
        ),
        rounds=UpdateRounds(
            updater=lambda: Updater(
                run.client,
                target,
                run.parallel,
                own.update_method,
                run.update_routes,
                run.reckoner.reckon,
            ),
            limits=run.limits,
            sample=partial(run.sample, target, stream),
            settling=settling,
            latest=latest,
        ),
    )
