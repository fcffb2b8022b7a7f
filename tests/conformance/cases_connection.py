# SPDX-License-Identifier: MIT
# cases_connection.py - keep-alive in both versions, the Connection field, pipelining, half-close (RFC 9112 9).
# Only data; called by test_conformance.py (which adds the half-close to every case).
import random

from case import ANY_GOOD, CANARY, CLOSE, EITHER, OK, Book, answer, chunked, chunks, echo, post, req

R93 = "RFC 9112 9.3"
R96 = "RFC 9112 9.6"
R761 = "RFC 9110 7.6.1"
RP = "RFC 9112 9.3.2"


def cases():
    return [*persistence(), *pipelining()]


def persistence():
    b = Book("connection")
    b.ok("1_1_default_keeps", R93, req())
    b.ok("1_1_keep_alive", R93, req("/pipeline", "Connection: keep-alive"))
    b.ok("1_1_keep_alive_field", R93, req("/pipeline", "Keep-Alive: timeout=5"))
    for name, line in (
        ("plain", "Connection: close"), ("no_space", "Connection:close"), ("capitals", "CONNECTION: CLOSE"), ("mixed", "connection: cLoSe"),
        ("ows", "Connection: \t close \t "), ("first_of_list", "Connection: close, foo"), ("last_of_list", "Connection: foo, close"),
        ("middle_of_list", "Connection: a, close, b"), ("no_space_in_list", "Connection: a,close,b"), ("tabs_in_list", "Connection: a\t,\tclose"),
        ("with_keep_alive", "Connection: keep-alive, close"), ("before_keep_alive", "Connection: close, keep-alive"),
        ("empty_elements", "Connection: ,, close ,,"), ("with_upgrade", "Connection: upgrade, close"), ("comma_before", "Connection: ,close"),
        ("comma_after", "Connection: close,"), ("twice", "Connection: close, close"),
    ):
        b.ok("close_" + name, R96, req("/pipeline", line), OK, CLOSE)
        b.last("close_then_canary_" + name, R96, req("/pipeline", line) + CANARY, [OK])
    b.ok("close_in_second_line", R761, req("/pipeline", "Connection: foo", "Connection: close"), OK, CLOSE)
    b.ok("close_in_first_line", R761, req("/pipeline", "Connection: close", "Connection: keep-alive"), OK, CLOSE)
    b.last("close_with_body", R96, post(b"hello", "Connection: close") + CANARY, echo(b"hello"))
    b.last("close_with_chunked_body", R96, chunked(chunks(b"hello"), "Connection: close") + CANARY, echo(b"hello"))
    b.last("close_with_404", R96, req("/none", "Connection: close") + CANARY, answer(404))
    b.last("close_with_405", R96, req("/pipeline", "Connection: close", method="DELETE") + CANARY, answer(405))
    b.last("close_with_head", R96, req("/pipeline", "Connection: close", method="HEAD") + CANARY, answer((200, 405), b"", "HEAD"))
    b.last("close_with_large_answer", R96, req("/bytes/300000", "Connection: close") + CANARY, answer(200))
    b.last("close_then_garbage", R96, req("/pipeline", "Connection: close") + b"\0\1\2 garbage" * 100)
    for name, line in (
        ("closed", "Connection: closed"), ("enclose", "Connection: enclose"), ("close_dash", "Connection: close-me"), ("empty", "Connection:"),
        ("comma", "Connection: ,"), ("other_token", "Connection: x-foo"), ("te", "Connection: TE"), ("proxy", "Proxy-Connection: close"),
        ("clos", "Connection: clos"), ("in_other_field", "X-Connection: close"), ("keep_alive_only", "Connection: Keep-Alive"),
        ("host_token", "Connection: host"),
    ):
        b.ok("no_close_" + name, R761, req("/pipeline", line), OK)
    for name, line in (
        ("quoted", 'Connection: "close"'), ("semicolon", "Connection: close;a=b"), ("two_words", "Connection: close foo"),
        ("parens", "Connection: (close)"), ("equals", "Connection: close=1"), ("slash", "Connection: close/x"),
    ):
        b.either("odd_" + name, R761, req("/pipeline", line), (200, 400))
    b.ok("many_tokens", R761, req("/pipeline", "Connection: " + ", ".join(f"t{i}" for i in range(200))), OK)
    b.ok("many_tokens_then_close", R761, req("/pipeline", "Connection: " + ", ".join([f"t{i}" for i in range(200)] + ["close"])), OK, CLOSE)
    b.last("1_0_default_closes", R93, req(version="HTTP/1.0") + CANARY, OK)
    b.last("1_0_close", R93, req("/pipeline", "Connection: close", version="HTTP/1.0") + CANARY, OK)
    for name, line in (
        ("plain", "Connection: keep-alive"), ("capital", "Connection: Keep-Alive"), ("capitals", "CONNECTION: KEEP-ALIVE"),
        ("list", "Connection: foo, keep-alive"),
    ):
        b.ok("1_0_keep_alive_" + name, R93, req("/pipeline", line, version="HTTP/1.0"), answer(200, b"ok", Connection="keep-alive"))
    b.ok("1_0_keep_alive_twice", R93, req("/pipeline", "Connection: keep-alive", version="HTTP/1.0") * 2, [OK, OK])
    b.ok("1_0_keep_alive_then_1_1", R93, req("/pipeline", "Connection: keep-alive", version="HTTP/1.0") + req(), [OK, OK])
    b.last("1_1_then_1_0", R93, req() + req(version="HTTP/1.0") + CANARY, [OK, OK])
    b.last("1_0_keep_alive_and_close", R93, req("/pipeline", "Connection: keep-alive, close", version="HTTP/1.0") + CANARY, OK)
    b.last("1_0_keep_alive_field_only", R93, req("/pipeline", "Keep-Alive: 300", version="HTTP/1.0") + CANARY, OK)
    b.last("1_0_other_token", R93, req("/pipeline", "Connection: x", version="HTTP/1.0") + CANARY, OK)
    b.ok("1_0_keep_alive_post", R93, post(b"hello", "Connection: keep-alive", version="HTTP/1.0"), echo(b"hello"))
    b.ok("1_0_keep_alive_head", R93, req("/pipeline", "Connection: keep-alive", version="HTTP/1.0", method="HEAD") + req(),
         [answer((200, 405), b"", "HEAD"), OK])
    b.ok("1_0_keep_alive_large", R93, req("/bytes/100000", "Connection: keep-alive", version="HTTP/1.0"),
         answer(200, None, Transfer_Encoding=None), EITHER)
    b.ok("1_0_answer_is_not_chunked", "RFC 9112 6.1", req("/bytes/100000", version="HTTP/1.0"),
         answer(200, None, Transfer_Encoding=None), CLOSE)
    b.ok("1_0_post_without_length", "RFC 9112 6.3", req("/echo", method="POST", version="HTTP/1.0"),
         answer((200, 400, 411), None, "POST"), CLOSE)
    b.ok("error_404_keeps", R93, req("/none"), answer(404))
    b.ok("error_405_keeps", R93, req("/pipeline", method="DELETE"), answer(405))
    b.ok("error_404_with_body_is_framed", R93, post(CANARY, target="/none"), answer(404, None, "POST"), EITHER)
    b.ok("error_404_with_chunks_is_framed", R93, chunked(chunks(CANARY), target="/none"), answer(404, None, "POST"), EITHER)
    return b.cases


def pipelining():
    b = Book("pipeline")
    for depth in (2, 3, 4, 8, 15, 16, 17, 32, 100):
        b.ok(f"get_{depth}", RP, req() * depth, [OK] * depth, cuts="all" if depth <= 16 else "few")
    b.ok("two_in_one_segment", "SPEC: bugs of the seed", req() + req("/"), [OK, answer(200)])
    b.ok("three_in_one_segment", "SPEC: bugs of the seed", req() + req("/none") + req(), [OK, answer(404), OK])
    makers = (
        lambda r: (req(), OK), lambda r: (req("/"), answer(200)), lambda r: (req("/none"), answer(404)),
        lambda r: (req(method="HEAD"), answer((200, 405), b"", "HEAD")), lambda r: (req(method="DELETE"), answer(405)),
        lambda r: (req("*", method="OPTIONS"), answer(200, b"")), lambda r: (post(b""), echo(b"")),
        lambda r: body_of(r, False), lambda r: body_of(r, True), lambda r: (post(CANARY), echo(CANARY)),
        lambda r: (b"\r\n" + req(), OK), lambda r: (req("http://other/pipeline"), OK),
        lambda r: (post(b"5", target="/baseline11?a=1"), answer(200, b"6", "POST")),
        lambda r: (req("/pipeline", "Connection: keep-alive", version="HTTP/1.0"), OK),
        lambda r: (post(b"x" * 777, target="/upload"), answer(200, b"777", "POST")),
        lambda r: (post(b"y", "Expect: 100-continue"), echo(b"y")),
    )
    rng = random.Random(20)
    for depth in range(2, 17):
        parts = [rng.choice(makers)(rng) for _ in range(depth)]
        data, answers = b"".join(p[0] for p in parts), [p[1] for p in parts]
        b.ok(f"mixed_{depth}", RP, data, answers)
        b.bad(f"mixed_{depth}_then_bad", RP, data + b"GET / HTTP/1.1\r\nBad : x\r\n\r\n", before=answers)
        b.last(f"mixed_{depth}_then_close", RP, data + req("/pipeline", "Connection: close") + CANARY, [*answers, OK])
    b.ok("large_answers_in_order", RP, req("/bytes/200000") + req() + req("/bytes/70000") + req(), [answer(200), OK, answer(200), OK])
    b.ok("head_of_large_then_get", RP, req("/bytes/200000", method="HEAD") + req(), [answer((200, 405), b"", "HEAD"), OK])
    b.bad("good_then_no_host", RP, req() + req(host=None), before=[OK])
    b.bad("good_then_505", RP, req() + req(version="HTTP/2.0"), 505, before=[OK])
    b.bad("good_then_both", RP, post(b"a") + req("/echo", "Content-Length: 5", "Transfer-Encoding: chunked", method="POST",
                                                 body=b"0\r\n\r\n"), before=[echo(b"a")])
    b.bad("good_then_connect", RP, req() + req("a:1", method="CONNECT"), 501, before=[OK])
    b.add("good_then_half", RP, req() + b"GET /pipe", [OK], CLOSE, cuts="whole")
    b.cases.pop()  # its end depends on the half-close alone: see tests/integration
    b.ok("body_ends_in_crlf_then_get", RP, post(b"a\r\n") + req(), [echo(b"a\r\n"), OK])
    b.ok("unknown_methods", RP, req(method="FOO") + req(), [answer(ANY_GOOD), OK])
    return b.cases


def body_of(rng, is_chunked):
    body = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60)))
    if not is_chunked:
        return post(body), echo(body)
    cut = rng.randrange(len(body))
    return chunked(chunks(*[p for p in (body[:cut], body[cut:]) if p])), echo(body)
