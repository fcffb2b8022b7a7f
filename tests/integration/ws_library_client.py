# SPDX-License-Identifier: MIT
# ws_library_client.py - drives a server with the Python library "websockets": run by test_ws_clients.py, with whatever Python has
# the library. Usage: ws_library_client.py ARENA-URL APP-URL. Prints "ok NAME" or "FAIL NAME: why" for each case.
# Invariant: knows nothing of frames; whatever it finds wrong is what an ordinary client would meet.
import asyncio
import os
import sys
import traceback

import websockets

ARENA, APP = sys.argv[1:3]
CASES = []
MAX = 17 << 20


def case(function):
    CASES.append(function)
    return function


def connect(url, deflate=False, **more):
    return websockets.connect(url, compression="deflate" if deflate else None, max_size=MAX, open_timeout=60, close_timeout=30,
                              **more)


def equal(got, want, what="value"):
    if got != want:
        raise AssertionError(f"{what}: {str(want)[:200]!r} expected, {str(got)[:200]!r} came")


@case
async def echo_of_all_sizes():
    for deflate in (False, True):
        async with connect(ARENA + "/ws", deflate) as ws:
            for size in (0, 1, 63, 64, 125, 126, 127, 65535, 65536, 1 << 20, 4 << 20, 16 << 20):
                text = ("wxyz \u00e4\u20ac\U0001d11e" * (size // 14 + 1)).encode()[:size].decode("utf-8", "ignore")
                await ws.send(text)
                equal(await ws.recv(), text, f"text of {size}, deflate {deflate}")
                data = os.urandom(min(size, 100003)) * (size // 100003 + 1)
                await ws.send(data[:size])
                equal(await ws.recv(), data[:size], f"binary of {size}, deflate {deflate}")


@case
async def echo_of_fragments():
    for deflate in (False, True):
        async with connect(ARENA + "/ws", deflate) as ws:
            for count in (1, 2, 100, 2000):
                pieces = [f"piece {i} " for i in range(count)]
                await ws.send(pieces)
                equal(await ws.recv(), "".join(pieces), "text")
                await ws.send([os.urandom(0), *(p.encode() for p in pieces), b""])
                equal(await ws.recv(), "".join(pieces).encode(), "binary")


@case
async def many_messages_without_waiting():
    for deflate in (False, True):
        async with connect(ARENA + "/ws", deflate, max_queue=None) as ws:
            async def send():
                for i in range(5000):
                    await ws.send(f"message {i} " * (i % 20 + 1))
            sending = asyncio.ensure_future(send())
            for i in range(5000):
                equal(await ws.recv(), f"message {i} " * (i % 20 + 1), "message")
            await sending


@case
async def pings_and_pongs():
    async with connect(ARENA + "/ws", ping_interval=0.05, ping_timeout=20) as ws:
        for payload in (b"", b"hello", b"p" * 125):
            await asyncio.wait_for(await ws.ping(payload), 20)
        await ws.pong(b"unsolicited")
        await asyncio.sleep(0.3)
        await ws.send("still here")
        equal(await ws.recv(), "still here")
    async with connect(APP + "/ws/cmd?tell-pong=1") as ws:
        await ws.send("ping hello")
        equal(await ws.recv(), "pong hello")


@case
async def subprotocols():
    for offered, chosen in ((["alpha"], "alpha"), (["alpha", "beta"], "beta"), (["gamma"], None), (None, None)):
        async with connect(APP + "/ws/protocols", subprotocols=offered) as ws:
            equal(ws.subprotocol, chosen, f"out of {offered}")


@case
async def closing_from_here():
    for code, reason in ((1000, ""), (1001, "away"), (3000, "r" * 123), (4999, "\u00e4")):
        ws = await connect(APP + "/ws/echo")
        await ws.send("hello")
        equal(await ws.recv(), "hello")
        await ws.close(code, reason)
        equal(ws.close_code, code, "code")


@case
async def closing_from_there():
    for code, reason in ((1000, ""), (1001, "away"), (1011, "\u20ac" * 41), (3000, "r" * 123), (4999, "end")):
        async with connect(APP + "/ws/cmd") as ws:
            await ws.send(f"close {code} {reason}")
            try:
                equal(await ws.recv(), "a close")
            except websockets.ConnectionClosed as closed:
                equal((closed.rcvd.code, closed.rcvd.reason), (code, reason), "close")


@case
async def refusals():
    for status in (401, 403, 429, 503):
        try:
            async with connect(APP + f"/ws/refuse/{status}"):
                raise AssertionError(f"{status} was accepted")
        except websockets.InvalidHandshake as refused:
            if str(status) not in str(refused):
                raise


@case
async def thousand_connections_at_once():
    async def one(i):
        async with connect(ARENA + "/ws", deflate=i % 2 == 0, ping_interval=None) as ws:
            for n in range(3):
                await ws.send(f"{i} says {n} " * 10)
                equal(await ws.recv(), f"{i} says {n} " * 10, "message")
            opened.append(i)
            if len(opened) == 1000:
                everybody.set()
            await everybody.wait()
            await ws.send("all are here")
            equal(await ws.recv(), "all are here")
    opened, everybody = [], asyncio.Event()
    slots = [asyncio.ensure_future(one(i)) for i in range(1000)]
    await asyncio.gather(*slots)


async def main():
    bad = 0
    for function in CASES:
        try:
            await asyncio.wait_for(function(), 150)
            print("ok", function.__name__, flush=True)
        except Exception as error:  # whatever it is, it is this case that has failed
            bad += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAIL {function.__name__}: {type(error).__name__}: {error} at line {where.lineno}", flush=True)
    return bad


sys.exit(1 if asyncio.run(main()) else 0)
