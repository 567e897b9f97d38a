"""Client against fake nodes."""

import asyncio
import doctest
import threading
import unittest
from contextlib import AsyncExitStack

import herd_client
from fake import FakeNode, answer
from herd_client import (
    AsyncHerd, At, CallTimeout, Failed, Herd, Interrupted, InvalidArgument, NoSubscriptions, NotConfirmed, Options, Report
)  # fmt: skip
from herd_client import _types


def report(number: int) -> Report:
    return Report(f"kiwi-{number}", 34.5, -118.25, number)


def pushed(seconds: int) -> str:
    return f"AT A +0.500000000 kiwi +34-118 {seconds}\n"


class ClientTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.stack = AsyncExitStack()
        self.addAsyncCleanup(self.stack.aclose)

    async def nodes(self, *nodes: FakeNode, **options: object) -> AsyncHerd:
        for node in nodes:
            if not hasattr(node, "address"):
                await self.stack.enter_async_context(node)
        return await self.stack.enter_async_context(AsyncHerd([node.address for node in nodes], Options(**options)))

    async def test_calls_are_pipelined_and_answered_in_order(self) -> None:
        # The node is silent until it has all lines, so the client must not wait for an answer before it sends the next one.
        answers: list[str] = []

        def react(number: int, line: str) -> tuple[str, bool]:
            answers.append(answer("Riley", line))
            return ("".join(answers) if number == 99 else "", False)

        herd = await self.nodes(FakeNode(react))
        found = await asyncio.gather(*(herd.report(report(number)) for number in range(100)))
        self.assertEqual([at.client for at in found], [f"kiwi-{number}" for number in range(100)])

    async def test_fail_over_makes_the_unanswered_calls_again_unchanged(self) -> None:
        failing = FakeNode(lambda number, line: (answer("A", line), False) if number < 10 else ("", True))
        good = FakeNode.good("B")
        herd = await self.nodes(failing, good)
        found = await asyncio.gather(*(herd.report(report(number)) for number in range(50)))
        self.assertEqual(sum(at.node == "A" for at in found), 10)
        self.assertEqual(len(good.received), 40)
        self.assertIn(str(report(49)), good.received)
        self.assertEqual(herd.node, good.address)

    async def test_fail_over_leaves_a_node_that_hangs_or_refuses_connections(self) -> None:
        hanging, good = FakeNode(lambda *_: ("", False)), FakeNode.good("B")
        herd = await self.nodes(hanging, good, answer_timeout_s=0.05)
        self.assertEqual((await herd.report(report(1))).node, "B")
        async with FakeNode.good("gone") as gone:
            pass
        async with AsyncHerd([gone.address, good.address]) as herd:
            self.assertEqual((await herd.report(report(2))).node, "B")

    async def test_fail_over_comes_back_to_a_node_that_closes_after_each_answer(self) -> None:
        herd = await self.nodes(FakeNode(lambda _, line: (answer("A", line), True)))
        await asyncio.gather(*(herd.report(report(number)) for number in range(4)))

    async def test_report_that_is_refused_is_made_again_elsewhere(self) -> None:
        full, good = FakeNode(lambda _, line: (f"? {line}\n", False)), FakeNode.good("B")
        herd = await self.nodes(full, good)
        self.assertEqual((await herd.report(report(1))).node, "B")
        self.assertEqual([full.received, good.received], [[str(report(1))]] * 2)
        self.assertEqual(herd.node, full.address)
        with self.assertRaises(NotConfirmed) as raised:
            await (await self.nodes(full, attempts_max=3)).report(report(2))
        self.assertEqual((raised.exception.client, raised.exception.attempts), ("kiwi-2", 3))

    async def test_whats_at_has_places_and_none_for_an_unknown_client(self) -> None:
        first, second = FakeNode.good("A"), FakeNode.good("B")
        herd = await self.nodes(first, second)
        found = await herd.whats_at("kiwi", 2.5, 3)
        assert found
        self.assertEqual((found.at.node, found.at.longitude, found.places()["status"]), ("A", -118.0, "ZERO_RESULTS"))
        self.assertIsNone(await herd.whats_at("lost"))
        self.assertEqual(second.received, ["WHATSAT lost 0 0"])

    async def test_request_that_may_have_been_performed_is_repeated_only_on_demand(self) -> None:
        failing, good = FakeNode(lambda *_: ("", True)), FakeNode.good("B")
        with self.assertRaises(Interrupted):
            await (await self.nodes(failing, good)).request("SET a 1", repeat=False)
        self.assertEqual(good.received, [])
        self.assertEqual(await (await self.nodes(failing, good)).request("GET a", repeat=True), "? GET a")
        with self.assertRaises(InvalidArgument):
            await (await self.nodes(good)).request("two\nlines", repeat=True)

    async def test_call_that_each_node_fails_by_ends_after_its_attempts(self) -> None:
        nodes = [FakeNode(lambda *_: ("", True)) for _ in range(2)]
        with self.assertRaises(Failed) as raised:
            await (await self.nodes(*nodes, attempts_max=3)).report(report(1))
        self.assertEqual(raised.exception.attempts, 3)
        self.assertEqual(sum(len(node.received) for node in nodes), 3)

    async def test_call_says_at_its_end_which_node_failed_last_and_why(self) -> None:
        async with FakeNode.good("gone") as gone:
            pass
        async with AsyncHerd([gone.address], Options(call_timeout_s=0.06)) as herd:
            with self.assertRaisesRegex(CallTimeout, f"within 0.06 s of any node, last {gone.address}: cannot connect"):
                await herd.report(report(1))

    async def test_answer_of_another_line_is_never_taken_for_that_of_a_report(self) -> None:
        confused, good = FakeNode(lambda *_: ("AT A +0.5 somebody +1+2 3\n", False)), FakeNode.good("B")
        herd = await self.nodes(confused, good)
        self.assertEqual((await herd.report(report(1))).node, "B")

    async def test_cancelled_call_leaves_the_connection_to_others(self) -> None:
        held: list[str] = []

        def react(_: int, line: str) -> tuple[str, bool]:
            held.append(answer("A", line))
            return ("".join(held) if len(held) == 2 else "", False)

        node = FakeNode(react)
        herd = await self.nodes(node)
        cancelled = asyncio.create_task(herd.report(report(1)))
        while not node.received:
            await asyncio.sleep(0)
        cancelled.cancel()
        self.assertEqual((await herd.report(report(2))).client, "kiwi-2")

    async def test_token_is_the_first_line_and_its_refusal_is_told(self) -> None:
        def react(_: int, line: str) -> tuple[str, bool]:
            return {"TOKEN right": ("", False), "TOKEN wrong": ("? TOKEN\n", True)}.get(line, (answer("A", line), False))

        strict = FakeNode(react)
        await (await self.nodes(strict, token="right")).report(report(1))
        self.assertEqual(strict.received[0], "TOKEN right")
        with self.assertRaisesRegex(Failed, "refuses the token"):
            await (await self.nodes(strict, token="wrong", attempts_max=2)).report(report(1))

    async def test_watch_subscribes_again_and_leaves_out_what_is_older(self) -> None:
        first = FakeNode(lambda *_: (f"OK\n{pushed(1)}{pushed(3)}", True))
        second = FakeNode(lambda *_: (f"OK\n{pushed(2)}{pushed(3)}{pushed(4)}", False))
        watch = (await self.nodes(first, second)).watch("kiwi")
        self.assertEqual([(await watch.next()).unix_ns // 10**9 for _ in range(3)], [1, 3, 4])
        watch.close()

    async def test_watch_probes_a_silent_node_and_leaves_it_when_it_hangs(self) -> None:
        hanging = FakeNode(lambda number, _: ("" if number else "OK\n", False))
        good = FakeNode(lambda *_: (f"OK\n{pushed(1)}", False))
        watch = (await self.nodes(hanging, good, answer_timeout_s=0.05, probe_after_s=0.05)).watch("kiwi")
        async for at in watch:
            self.assertEqual((at.unix_ns, len(hanging.received)), (10**9, 2))
            break
        watch.close()

    async def test_watch_at_nodes_without_subscriptions_says_so(self) -> None:
        nodes = FakeNode.good("A"), FakeNode.good("B")
        with self.assertRaises(NoSubscriptions):
            await (await self.nodes(*nodes)).watch("kiwi").next()
        self.assertEqual([len(node.received) for node in nodes], [1, 1])

    async def test_blocking_client_serves_several_threads(self) -> None:
        good = FakeNode(lambda _, line: (f"OK\n{pushed(1)}" if line.startswith("WATCH") else answer("A", line), False))
        await self.nodes(good)
        found: list[At] = []

        def block() -> None:
            with Herd([good.address]) as herd:
                threads = [threading.Thread(target=lambda n=n: found.append(herd.report(report(n)))) for n in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                found.append(next(herd.watch("kiwi")))
                assert herd.whats_at("lost") is None
            herd.close()
            with self.assertRaises(RuntimeError):
                herd.report(report(1))

        await asyncio.to_thread(block)
        self.assertEqual({at.client for at in found}, {"kiwi"} | {f"kiwi-{number}" for number in range(8)})


class TypesTest(unittest.TestCase):
    def test_report_is_written_as_the_protocol_wants_it(self) -> None:
        self.assertEqual(str(Report("kiwi", 34.06893, -118.445127, 1_500_000_001)), "IAMAT kiwi +34.06893-118.445127 1.500000001")
        self.assertEqual(str(Report("kiwi", -90, 180, 0)), "IAMAT kiwi -90+180 0.000000000")
        self.assertEqual(str(Report("kiwi", 1e-300, 1e-7, 1)), "IAMAT kiwi +0+0.0000001 0.000000001")
        for name in ("", "two words", "new\nline", "x" * 1025, "\udc80"):
            self.assertRaises(InvalidArgument, Report, name, 0, 0)
        for latitude, longitude in ((90.1, 0), (0, -180.5), (float("nan"), 0), (0, float("inf"))):
            self.assertRaises(InvalidArgument, Report, "kiwi", latitude, longitude)
        self.assertRaises(InvalidArgument, Report, "kiwi", 0, 0, 10**27)

    def test_at_line_is_exact(self) -> None:
        at = At.parse("AT Riley -1000.000312500 kiwi +34.068930-118.445127 1479413884.392014450")
        assert at
        self.assertEqual((at.skew_ns, at.unix_ns), (-1_000_000_312_500, 1_479_413_884_392_014_450))
        self.assertEqual((at.latitude, at.longitude), (34.06893, -118.445127))
        for line in ("? AT", "AT Riley +0.5 kiwi +34-118", "AT Riley 0.5 kiwi +34-118 1"):
            self.assertIsNone(At.parse(line))

    def test_arguments_that_the_protocol_has_no_place_for_are_refused(self) -> None:
        for radius_km, bound in ((50.5, 1), (-1, 1), (float("nan"), 1), (1, 21)):
            self.assertRaises(InvalidArgument, _types.query, "kiwi", radius_km, bound)
        for nodes in ([], ["127.0.0.1"], ["a b:1"], ["riley:0"], ["::1:5"]):
            self.assertRaises(InvalidArgument, AsyncHerd, nodes)
        self.assertEqual(AsyncHerd(["[::1]:15415"]).node, "[::1]:15415")
        self.assertRaises(InvalidArgument, Options, token="two words")
        self.assertRaises(InvalidArgument, Options, queue_max=0)

    def test_examples_in_the_documentation_run(self) -> None:
        self.assertEqual(doctest.testmod(_types).failed, 0)
        self.assertIn("AsyncHerd", herd_client.__all__)


if __name__ == "__main__":
    unittest.main()
