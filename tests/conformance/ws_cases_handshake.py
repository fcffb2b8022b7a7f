# SPDX-License-Identifier: MIT
# ws_cases_handshake.py - the opening handshake (RFC 6455 section 4.2): what is a WebSocket, what is refused and how.
# Pure data for test_ws_conformance.py.
# Invariant: what is refused is an HTTP response that a client can read; what is accepted echoes.
import base64
import dataclasses

from ws_client import KEY

OK = frozenset((101,))
BAD = frozenset((400,))
VERSION = frozenset((426,))


@dataclasses.dataclass
class Handshake:
    name: str
    rfc: str
    data: bytes
    statuses: frozenset
    key: str = KEY
    fields: tuple = ()  # (name, value or None for "absent") of the answer
    before: tuple = ()  # statuses of answers to requests in front


def request(*replaced, method="GET", target="/ws", version="HTTP/1.1", drop=(), end=b""):
    """A valid handshake with some lines replaced by name, dropped or added."""
    lines = {"host": "Host: test", "upgrade": "Upgrade: websocket", "connection": "Connection: Upgrade",
             "sec-websocket-key": f"Sec-WebSocket-Key: {KEY}", "sec-websocket-version": "Sec-WebSocket-Version: 13"}
    added = []
    for line in replaced:
        lines.pop(line.split(":")[0].lower(), None)
        added.append(line)
    head = [f"{method} {target} {version}", *(v for k, v in lines.items() if k not in drop), *added, "", ""]
    return "\r\n".join(head).encode("latin-1") + end


class Book:
    def __init__(self):
        self.cases = []

    def add(self, name, rfc, data, statuses, **more):
        self.cases.append(Handshake(f"handshake/{name}", rfc, data, statuses, **more))


def accepted(b):
    def ok(name, *lines, rfc="RFC 6455 4.2.1", **more):
        b.add(name, rfc, request(*lines), OK, **more)
    ok("plain")
    ok("upgrade_in_capitals", "Upgrade: WEBSOCKET")
    ok("upgrade_in_mixed_case", "Upgrade: WebSocket")
    ok("upgrade_in_a_list", "Upgrade: h2c, websocket")
    ok("upgrade_first_in_a_list", "Upgrade: websocket, foo/1.0")
    ok("upgrade_in_two_fields", "Upgrade: foo", "Upgrade: websocket")
    ok("upgrade_with_spaces", "Upgrade: \t websocket \t")
    ok("upgrade_without_space", "Upgrade:websocket")
    ok("connection_in_small_letters", "Connection: upgrade")
    ok("connection_in_capitals", "Connection: UPGRADE")
    ok("connection_in_a_list", "Connection: keep-alive, Upgrade")
    ok("connection_first_in_a_list", "Connection: Upgrade, keep-alive")
    ok("connection_in_two_fields", "Connection: keep-alive", "Connection: Upgrade")
    ok("connection_with_empty_elements", "Connection: , ,Upgrade,,", rfc="RFC 9110 5.6.1")
    ok("connection_with_tabs", "Connection: keep-alive\t,\tUpgrade")
    ok("field_names_in_capitals", f"SEC-WEBSOCKET-KEY: {KEY}", "SEC-WEBSOCKET-VERSION: 13", "UPGRADE: websocket", "CONNECTION: Upgrade")
    ok("field_names_in_small_letters", f"sec-websocket-key: {KEY}", "sec-websocket-version: 13", "upgrade: websocket", "connection: upgrade")
    ok("with_origin", "Origin: http://example.com")
    ok("with_cookies", "Cookie: a=b; c=d", "Authorization: Basic eDp5")
    ok("unknown_extension", "Sec-WebSocket-Extensions: x-webkit-deflate-frame, foo; bar=1", rfc="RFC 6455 9.1",
       fields=(("Sec-WebSocket-Extensions", None),))
    ok("protocols_none_of_which_is_spoken", "Sec-WebSocket-Protocol: chat, superchat", rfc="RFC 6455 4.2.2",
       fields=(("Sec-WebSocket-Protocol", None),))
    ok("version_with_spaces", "Sec-WebSocket-Version:  13 ")
    ok("no_body_announced", "Content-Length: 0")
    ok("body_fields_absent", fields=(("Content-Length", None), ("Transfer-Encoding", None)), rfc="RFC 9110 8.6")
    ok("with_many_fields", *[f"X-{i}: {i}" for i in range(80)])
    b.add("with_query", "RFC 6455 3", request(target="/ws?a=1&b=2"), OK)
    b.add("absolute_form", "RFC 9112 3.2.2", request(target="http://test/ws"), OK)
    b.add("behind_a_request", "RFC 9112 9.3", b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n" + request(), OK, before=(200,))
    b.add("behind_two_requests", "RFC 9112 9.3", b"GET /pipeline HTTP/1.1\r\nHost: t\r\n\r\n" * 2 + request(), OK, before=(200, 200))
    for i, raw in enumerate((bytes(16), b"\xff" * 16, bytes(range(16)), b"\x00" * 15 + b"\x01", b"\x00" * 15 + b"\xfe", b"\xfb\xef\xbe" * 5 + b"\xfb")):
        key = base64.b64encode(raw).decode()
        b.add(f"key_{i}", "RFC 6455 4.2.1", request(f"Sec-WebSocket-Key: {key}"), OK, key=key)
    b.add("key_with_spaces_around", "RFC 6455 4.2.1", request(f"Sec-WebSocket-Key:   {KEY} \t "), OK)


def refused(b):
    def bad(name, *lines, statuses=BAD, rfc="RFC 6455 4.2.1", **more):
        b.add(name, rfc, request(*lines, **more), statuses)
    bad("no_host", drop=("host",), rfc="RFC 9112 3.2")
    bad("no_upgrade", drop=("upgrade",))
    bad("no_connection", drop=("connection",))
    bad("no_upgrade_and_no_connection", drop=("upgrade", "connection"))
    bad("no_key", drop=("sec-websocket-key",))
    bad("nothing_but_host", drop=("upgrade", "connection", "sec-websocket-key", "sec-websocket-version"))
    bad("method_post", "Content-Length: 0", method="POST", statuses=frozenset((400, 405)))
    bad("method_put", "Content-Length: 0", method="PUT", statuses=frozenset((400, 405)))
    bad("method_options", method="OPTIONS", statuses=frozenset((400, 405)))
    bad("method_delete", method="DELETE", statuses=frozenset((400, 405)))
    bad("version_1_0", version="HTTP/1.0")
    bad("upgrade_h2c", "Upgrade: h2c")
    bad("upgrade_empty", "Upgrade:")
    bad("upgrade_as_part", "Upgrade: websockets")
    bad("upgrade_as_part_2", "Upgrade: xwebsocket")
    bad("upgrade_with_other_separator", "Upgrade: foo;websocket")
    bad("connection_close", "Connection: close")
    bad("connection_keep_alive", "Connection: keep-alive")
    bad("connection_empty", "Connection:")
    bad("connection_as_part", "Connection: upgraded")
    bad("connection_as_words", "Connection: keep-alive Upgrade")
    for name, key in {
            "empty": "", "short": "dGhlIHNhbXBsZSBub25jZQ=", "no_padding": "dGhlIHNhbXBsZSBub25jZQ", "of_15_bytes": "AAAAAAAAAAAAAAAAAAAA",
            "of_17_bytes": "AAAAAAAAAAAAAAAAAAAAAAA=", "of_18_bytes": "AAAAAAAAAAAAAAAAAAAAAAAA", "of_32_bytes": "A" * 43 + "=",
            "with_url_alphabet": "dGhlIHNhbXBsZSBub25j-_==", "with_space": "dGhlIHNhbXB sZSBub25jQ==", "with_percent": "dGhlIHNhbXBsZSBub25%ZQ==",
            "with_padding_inside": "dGhlIHNh=XBsZSBub25jZQ==", "not_canonical": "dGhlIHNhbXBsZSBub25jZR==",
            "twice_in_one_field": f"{KEY}, {KEY}", "padding_only": "=" * 24}.items():
        bad(f"key_{name}", f"Sec-WebSocket-Key: {key}")
    bad("key_twice", f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Key: {KEY}", rfc="RFC 6455 11.3.1")
    bad("key_with_a_byte_above_127", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\xe4Q==")


def versions(b):
    for name, version in {"0": "0", "7": "7", "8": "8", "12": "12", "14": "14", "113": "113", "130": "130", "255": "255", "with_zero": "013",
                          "with_sign": "+13", "with_fraction": "13.0", "hex": "0xd", "empty": "", "word": "thirteen", "list": "13, 8",
                          "list_other_way": "8, 13"}.items():
        b.add(f"version_{name}", "RFC 6455 4.4", request(f"Sec-WebSocket-Version: {version}"), VERSION,
              fields=(("Sec-WebSocket-Version", "13"),))
    b.add("version_missing", "RFC 6455 4.4", request(drop=("sec-websocket-version",)), VERSION, fields=(("Sec-WebSocket-Version", "13"),))
    b.add("version_twice", "RFC 6455 11.3.5", request("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"), frozenset((400, 426)))
    b.add("right_version_behind_a_wrong_one", "RFC 6455 4.4", request("Sec-WebSocket-Version: 14") + request(), OK, before=(426,))


def cases():
    b = Book()
    for area in (accepted, refused, versions):
        area(b)
    return b.cases
