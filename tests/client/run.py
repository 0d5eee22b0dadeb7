#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/client/run.py [SLUICE [FILTER]] — a client in another language, written from docs/*.md and /v1/openapi.json alone.

It does all that the API offers, checks each answer against the description, sees each described status at least once,
and causes each sentence of the diagnosis. Tests run side by side, wait for events, and stay on loopback.
Last line: "client: N passed, N failed[, N skipped]". SL_TIMES=1 tells how long each test took.
"""
import asyncio
import functools
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

try:
    import aiortc                                                                       # noqa: F401
except ImportError:
    print("skipped: there is no aiortc for %s: install python3-aiortc" % sys.executable)
    print("client: 0 passed, 0 failed, 1 skipped")
    sys.exit(0)

import harness                                                                          # noqa: E402
import test_diagnosis                                                                   # noqa: E402
import test_events                                                                      # noqa: E402
import test_rest                                                                        # noqa: E402
import test_rooms                                                                       # noqa: E402


async def main(wanted):
    results = await harness.run_all(wanted)
    if not wanted:
        skipped = any(isinstance(why, harness.Skip) for why in results.values())
        for after in (test_rest.every_described_status_was_seen, test_diagnosis.every_cause_and_sentence_was_seen,
                      test_rooms.every_message_and_code_of_the_document_was_seen,
                      functools.partial(test_events.every_event_of_the_document_was_seen, skipped)):
            name = getattr(after, "func", after).__name__
            try:
                after()
                results[name] = None
            except AssertionError as why:
                results[name] = str(why)
    await harness.stop_tasks()
    bad = await harness.stop_servers()
    results["every_server_ends_in_order"] = "\n".join(bad) or None
    return results


if __name__ == "__main__":
    harness.binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/release/sluice"))
    got = asyncio.run(main(sys.argv[2] if len(sys.argv) > 2 else ""))
    for name, why in got.items():
        if why:
            print("%s: %s\n%s" % ("skipped" if isinstance(why, harness.Skip) else "FAILED", name, why))
    skipped = sum(isinstance(why, harness.Skip) for why in got.values())
    failed = sum(why is not None for why in got.values()) - skipped
    print("client: %d passed, %d failed%s" % (len(got) - failed - skipped, failed, ", %d skipped" % skipped if skipped else ""))
    sys.stdout.flush()
    # Decoders of a test that failed may still have threads.
    os._exit(1 if failed or len(got) < 2 else 0)
