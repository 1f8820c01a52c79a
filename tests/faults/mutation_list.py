"""The protections that keep rows from being lost or doubled, each with what takes it out, and who has to notice.

`mutating` replaces `old`, which must be there exactly once, by `new`. A test of the list holds it to the code.
"""

from __future__ import annotations

from tests.faults.mutation_corpus import CORPUS
from tests.faults.mutation_doors import DOORS
from tests.faults.mutation_kinds import MEMORY, NAMED, POSTGRES, Mutation, Patch
from tests.faults.mutation_producer import PRODUCER
from tests.faults.mutation_reconcile import RECONCILE
from tests.faults.mutation_streams import STREAMS

_SUMMARY = (
    "tests/unit/test_settle_killed.py"
    "::test_a_summary_beside_a_settling_that_was_killed_anywhere_calls_processed_only_what_was_moved"
)
_ARRIVALS = "tests/contract/test_arrivals_contract.py"
_LEASES = "tests/contract/test_leases_contract.py"
_LEDGER = "tests/contract/test_ledger_contract.py"


def _one(what: str, module: str, old: str, new: str, *by: str) -> Mutation:
    return Mutation(what, (Patch(module, old, new),), by or (MEMORY, NAMED))


_FLOWS = "penstock.flows."
_LOADS = "penstock.adapters.postgres."

MUTATIONS = {
    # ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────
    "ledger-before-rows": _one(
        "the ledger row commits before the rows, in a transaction of its own",
        _LOADS + "warehouse",
        "            require_table(session.connection, dataset)\n            earlier =",
        "            require_table(session.connection, dataset)\n"
        '            session.connection.execute("COMMIT")\n            session.connection.execute("BEGIN")\n'
        "            earlier =",
        POSTGRES,
        NAMED,
    ),
    "claim-ignored": _one(
        "a load works arrivals that the ledger gave to another",
        _LOADS + "ledger",
        "if arrival.id in mine}",
        "}",
        POSTGRES,
        NAMED,
    ),
    "no-duplicate-check": Mutation(
        "identical bytes under a key are loaded again",
        (
            Patch(
                _LOADS + "load_file",
                "if any((old.etag, old.size) == (arrival.etag, arrival.size) for old in earlier):",
                "if False:",
            ),
            Patch(
                "tests.fakes.warehouse",
                "if any((one.arrival.etag, one.arrival.size) == (arrival.etag, arrival.size) for one in there):",
                "if False:",
            ),
        ),
        (MEMORY, POSTGRES),
    ),
    "replaced-rows-stay": _one(
        "`replace` leaves the old version's rows",
        _LOADS + "load_file",
        "        if replaced:\n            self.session",
        "        if False:\n            self.session",
        POSTGRES,
        NAMED,
    ),
    "undecided-is-processed": _one(
        "settling before the warehouse has committed: what the ledger does not know counts as loaded",
        _FLOWS + "deciding",
        "        return Decision(Settlement.FAILED if told.is_last else Settlement.PUT_BACK, reason)",
        "        return Decision(Settlement.PROCESSED, reason)",
    ),
    "quarantine-without-ledger": _one(
        "a file is given up without a ledger row",
        _FLOWS + "decide_batch",
        "        if lost and self.destinations.warehouse:",
        "        if False and self.destinations.warehouse:",
    ),
    "keys-share-a-text": _one(
        "a key's backslashes stay single in the ledger, and two keys may have one text",
        "penstock.model.ledger_text",
        r'as_text(key.replace("\\", "\\\\"))',
        "as_text(key)",
        "tests/property/test_ledger_text.py",
    ),
    # ── S3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    "delete-newest": Mutation(
        "a move deletes by key, not by version id",
        (
            Patch(
                "tests.fakes.object_store",
                "            self._versions[lies.key] = [",
                "            self._versions[lies.key].pop()\n            _ = [",
            ),
        ),
    ),
    "delete-without-version": _one(
        "the real adapter's DeleteObjects names no version",
        "penstock.adapters.s3_moves",
        '{"Key": key, "VersionId": version} for key, version in part',
        '{"Key": key} for key, version in part',
        _ARRIVALS,
    ),
    "newest-first": _one(
        "versions of a key are worked newest first",
        "tests.fakes.object_store",
        "            for version in tuple(self._versions.get(key, ())):",
        "            for version in reversed(tuple(self._versions.get(key, ()))):",
    ),
    "newest-first-s3": Mutation(
        "the real adapter lists the newest version first",
        (
            Patch(
                "penstock.adapters.s3",
                "                yield from reversed(held)\n                held = []",
                "                yield from held\n                held = []",
            ),
            Patch("penstock.adapters.s3", "        yield from reversed(held)\n\n", "        yield from held\n\n"),
        ),
        (_ARRIVALS,),
    ),
    "versions-together": _one(
        "a version is planned while the one before it is still worked",
        _FLOWS + "list_incoming",
        "            if first and is_free",
        "            if is_free",
    ),
    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────
    "no-lease-check": _one(
        "what a live run holds is planned again",
        _FLOWS + "list_incoming",
        "leased.isdisjoint((arrival.id, arrival.key)) and ",
        "",
    ),
    "no-fencing": Mutation(
        "a run is recorded without looking at the listing lease's token",
        (
            Patch(
                "tests.fakes.leases",
                "(self._holder.token, self._holder.owner) != (lease.token, lease.owner):",
                "False:",
            ),
        ),
    ),
    "no-fencing-dynamodb": _one(
        "the same, in the real adapter",
        "penstock.adapters.dynamodb",
        '"ConditionExpression": "#token = :token AND #owner = :owner",',
        '"ConditionExpression": "#token <= :token OR #token > :token OR #owner = :owner",',
        _LEASES,
    ),
    "limits-of-one-run": _one(
        "limits hold for each run, not for all that are live",
        _FLOWS + "next_batches",
        "        files=limits.files - sum(run.files for run in live),",
        "        files=limits.files,",
    ),
    "dead-run-keeps-leases": _one(
        "a run that is over holds its leases until they expire",
        _FLOWS + "look_after_runs",
        "        if status is RunStatus.RUNNING and now < run.expires:",
        "        if now < run.expires:",
    ),
    "unstarted-run-is-left": _one(
        "a run that was recorded and not started is not started by the next listing",
        _FLOWS + "look_after_runs",
        "            runs.start(run.id, run.batches)\n",
        "",
    ),
    "listing-reads-all": _one(
        "a listing reads all of incoming/, however long that takes",
        _FLOWS + "listing_lease",
        "self.cut = self.clock.now() - began >= READS",
        "self.cut = False",
        "tests/unit/test_list_in_time.py",
    ),
    # ── attempts ────────────────────────────────────────────────────────────────────────────────────────────────────
    "end-run-first": _one(
        "a dead run is ended before it is counted as an attempt",
        _FLOWS + "list_incoming",
        "        leases.put_back(orphans.attempts)\n",
        "        for run in over:\n            leases.end_run(run.id, run.status, now)\n"
        "        leases.put_back(orphans.attempts)\n",
    ),
    "no-wait": _one(
        "what was put back is tried again at once",
        _FLOWS + "deciding",
        "    return now + wait_after(attempts)",
        "    return now",
    ),
    "forget-before-move": _one(
        "attempts are forgotten before the file has left incoming/",
        _FLOWS + "settle_batch",
        "    refused.update(store.move(moves))\n",
        "    leases.forget([one.arrival for one in settled])\n    refused.update(store.move(moves))\n",
    ),
    "throttled-is-tried": _one(
        "a worker that AWS did not start counts as an attempt",
        _FLOWS + "decide_batch",
        "if branch.unstarted and destination in needs(dataset):",
        "if False:",
        "tests/unit/test_settle_outages.py",
    ),
    "stray-attempts-stay": _one(
        "a listing does not forget attempts on what is not in incoming/ any more",
        _FLOWS + "list_incoming",
        "        leases.forget([] if holding.cut else orphans.gone())\n",
        "",
    ),
    "settled-before-move": _one(
        "`settled/` is written before the moves",
        _FLOWS + "settle_batch",
        "    settled = _carry_out(",
        "    store.put_json(settled_batch_key(plan, number), settling.batch.to_json())\n    settled = _carry_out(",
        MEMORY,
        NAMED,
        _SUMMARY,
    ),
    "decided-twice": Mutation(
        "a settling that is repeated decides anew, and counts its attempt again",
        (
            Patch(_FLOWS + "settle_batch", "    settling = _begun(store, plan, number)\n", "    settling = None\n"),
            Patch(_FLOWS + "decide_batch", "counted = before is not None and before.run == plan", "counted = False"),
        ),
        (NAMED,),
    ),
    # ── documents and kickoffs ──────────────────────────────────────────────────────────────────────────────────────
    "no-converge": _one(
        "replaced rows keep their documents",
        _FLOWS + "converge_documents",
        "    for replaced in load.replaced:\n        search.delete_arrival(dataset.index.name, replaced)\n",
        "",
    ),
    "late-documents-stay": _one(
        "an indexing that comes late does not look at the ledger again",
        _FLOWS + "index_batch",
        "    written = [arrival for arrival in arrivals if arrival.id in outcomes]\n",
        "    written: list[Arrival] = []\n",
    ),
    "quarantined-documents-stay": _one(
        "a quarantined file keeps its documents",
        _FLOWS + "deciding",
        "        return Decision(Settlement.FAILED, load.reason, Documents.DELETE if indexed else Documents.LEAVE)",
        "        return Decision(Settlement.FAILED, load.reason)",
    ),
    "no-late-closing": _one(
        "nobody asks again what an aborted run owes when its functions are over",
        _FLOWS + "close_again",
        "    if run.id == plan and _may_still_settle(plan, store, datasets):\n",
        "    if False:\n",
        "tests/unit/test_close_again.py",
    ),
    "one-key-holds-all": _one(
        "one file that S3 refuses keeps its batch from being settled",
        _FLOWS + "decide_batch",
        "        except PermanentError as error:\n            return Stuck(",
        "        except PermanentError as error:\n            raise\n            return Stuck(",
        "tests/unit/test_settle_refused.py",
    ),
    "table-not-looked-at": _one(
        "a table that is missing is each file's fault",
        _LOADS + "warehouse",
        "            require_table(session.connection, dataset)\n",
        "",
        "tests/integration/test_postgres_refusals.py",
    ),
    "kick-off-noted-first": _one(
        "a kickoff is noted before it is started",
        _FLOWS + "kick_off",
        "    reference = pipeline_of(dataset).start(plan, name, parameters)\n",
        '    leases.finish_kick_off(plan, name, "")\n'
        "    reference = pipeline_of(dataset).start(plan, name, parameters)\n",
    ),
    # ── bad input ─────────────────────────────────────────────────────────────────────────────────────────────────────
    **CORPUS,
    # ── counts of a stream ──────────────────────────────────────────────────────────────────────────────────────────
    **STREAMS,
    **DOORS,
    **PRODUCER,
    # ── what reconcile tells ────────────────────────────────────────────────────────────────────────────────────────
    **RECONCILE,
}
