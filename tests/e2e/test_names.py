"""Rules that ask for names in payloads, end to end: real ClientHellos, requests and queries through weftd."""
import ssl

import pytest
from scapy.layers.dns import DNS, DNSQR

from frames import IP, TCP, UDP, Ether, IPv6, Raw
from rig import Refused, Switch, flow, wait_until


def client_hello(name):
    """What OpenSSL says first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    said = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def over_tcp(payload, dport, l3=None):
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / (l3 or IP(src="10.0.0.1", dst="10.0.0.2")) /
                 TCP(sport=1000, dport=dport, flags="PA") / Raw(payload))


def tls(name, **more):
    return over_tcp(client_hello(name), 443, **more)


def http(host):
    return over_tcp(b"GET /a HTTP/1.1\r\nAccept: */*\r\nHost: " + host.encode() + b"\r\n\r\n", 80)


def dns(name):
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") /
                 UDP(sport=1000, dport=53) / DNS(rd=1, qd=DNSQR(qname=name)))


@pytest.fixture
def switch():
    made = Switch()
    yield made
    made.close()


def rules(*flows):
    return [item for each in flows for item in (+1, flow(*each))]


def test_names_decide_where_packets_go(switch):
    to_web = [tls("www.example.com"), tls("WWW.example.com", l3=IPv6(src="fd00::1", dst="fd00::2")),
              http("www.example.com:8080"), dns("www.example.com.")]
    below = [tls("a.b.example.com"), http("img.example.com"), dns("x.example.com")]
    wild = [tls("api-7.example.net"), http("api-eu.example.net")]
    other = [tls("example.com"), http("example.com"), dns("example.org"), over_tcp(b"", 443), over_tcp(b"hello", 443)]
    switch.files({"p1": to_web + below + wild + other, "web": [], "below": [], "wild": [], "other": []})
    names = ("tls.sni", "http.host", "dns.qname")
    switch.control.transaction(
        rules(*[(0, 10, '%s == "www.example.com"' % name, 'output("web");') for name in names],
              *[(0, 10, '%s == "*.example.com"' % name, 'output("below");') for name in names],
              (0, 10, 'tls.sni == "api-*.example.net" || http.host == "api-*.example.net"', 'output("wild");'),
              (0, 1, "1", 'output("other");')))
    # Wildcards are compiled in the background: both before and after they are, they match.
    switch.send(p1=len(to_web + below + wild + other))
    switch.books_close()
    assert switch.stop() == {"web": to_web, "below": below, "wild": wild, "other": other}


def test_rules_come_and_go_between_packets(switch):
    frames = [tls("a.example"), tls("a.example"), tls("a.example")]
    switch.files({"p1": frames, "p2": [], "p3": []})
    named = flow(0, 10, 'tls.sni == "*.example"', 'output("p2");')
    switch.control.transaction(rules((0, 1, "1", 'output("p3");')))
    switch.send(p1=1)
    switch.control.transaction([+1, named])
    switch.send(p1=1)
    switch.control.transaction([-1, named])
    switch.send(p1=1)
    assert switch.stop() == {"p2": frames[1:2], "p3": [frames[0], frames[2]]}


def test_text_message_dump_trace_and_explain_know_names(switch):
    switch.files({"p1": [], "p2": []})
    switch.control.transaction(rules((0, 10, 'tls.sni == {"B.example.", "*.a.example"}', 'output("p2");')))
    text = 'tls.sni == {"*.a.example", "b.example"}'
    assert list(switch.flows()) == [(0, 10, text)]
    by_message = {"table": 0, "priority": 10, "match_terms": {"terms": [
        {"fields": [{"field": 104, "name": name}]} for name in ("b.EXAMPLE", "*.a.example")]},
        "action_list": {"actions": [{"output": {"port": "p2"}}]}}
    import json
    reply = switch.ctl("apply", "-", stdin=json.dumps(
        {"transaction": {"id": "1", "ops": [{"weight": 1, "flow": by_message}]}}) + "\n").stdout
    assert json.loads(reply)["ack"]["unchanged"] == 1, reply
    told = switch.ctl("trace", "--port", "p1", 'tls.sni == "*.a.example"').stdout
    assert 'tls.sni == "x.a.example"' in told and "output p2" in told, told
    assert "drop no_match" in switch.ctl("trace", "--port", "p1", 'tls.sni == "c.example"').stdout
    assert "drop no_match" in switch.ctl("trace", "--port", "p1", 'dns.qname == "b.example"').stdout
    explained = switch.ctl("explain").stdout
    assert "names (2 patterns)" in explained, explained


def test_wildcards_are_compiled_in_the_background(switch):
    switch.files({"p1": [tls("api-1.example")], "p2": []})
    switch.control.transaction(rules(*[(0, 10, 'tls.sni == "api-*-%d.example"' % i, "drop;") for i in range(40)],
                                     (0, 10, 'tls.sni == "api-*.example"', 'output("p2");')))

    def bytes_at_most():
        return switch.control.explain().tables[0].name_bytes_max
    wait_until(lambda: bytes_at_most() == 1500 + 253 * 2, lambda: "%d bytes" % bytes_at_most())
    switch.send(p1=1)
    assert len(switch.stop()["p2"]) == 1


def test_what_names_cannot_do_is_refused(switch):
    switch.files({"p1": []})

    def refused(match, actions="drop;"):
        with pytest.raises(Refused) as refusal:
            switch.control.transaction(rules((0, 10, match, actions)))
        return str(refusal.value)
    assert "tls.sni is a name: it can only be compared with ==" in refused('tls.sni != "a.example"')
    assert "a label is empty" in refused('dns.qname == "a..example"')
    assert "do not go together with conjunctions" in refused('tls.sni == "a" && conj_id == 1')
    assert "do not go together with conjunctions" in refused('tls.sni == "a"', "conjunction(1, 1/2);")
    switch.control.transaction(rules(*[(0, 10, 'tls.sni == "a*-%d.b"' % i, "drop;") for i in range(256)]))
    assert "a table holds at most 256" in refused('tls.sni == "b*.b"')
    switch.control.transaction(rules((1, 10, 'tls.sni == "b*.b"', "drop;")))
