"""What the hub makes of OTLP: from the Python SDK over both protocols, with and without certificates, and from senders that misbehave."""

import gzip
import logging
import math
import random
import socket
import sys
import time

import grpc
import requests
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from place import Place, until

NAME = "hub.sysmon.internal"
LONG = [("grpc.max_send_message_length", -1)]
TARGET = [("grpc.ssl_target_name_override", NAME), *LONG]

resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: resolve("127.0.0.1" if host == NAME else host, *more, **named)


def now_ns():
    return time.time_ns()


def attributes(owner, pairs):
    for key, value in pairs.items():
        owner.attributes.add(key=key).value.string_value = str(value)


def message(host, points, name="test.value", kind="gauge", **resource):
    """A message of one metric; a point is its value, or value, attributes and time."""
    request = messages.ExportMetricsServiceRequest()
    one = request.resource_metrics.add()
    attributes(one.resource, ({"host.name": host} if host else {}) | resource)
    metric = one.scope_metrics.add().metrics.add(name=name, unit="1")
    data = getattr(metric, "gauge" if kind == "gauge" else "sum")
    if kind != "gauge":
        data.aggregation_temporality = metrics.AGGREGATION_TEMPORALITY_DELTA if kind == "delta" else metrics.AGGREGATION_TEMPORALITY_CUMULATIVE
        data.is_monotonic = True
    for point in points:
        value, labels, at = point if isinstance(point, tuple) else (point, {}, now_ns())
        attributes(data.data_points.add(as_double=value, time_unix_nano=at), labels)
    return request


def credentials(papers):
    return grpc.ssl_channel_credentials(papers["ca"], papers["key"], papers["cert"])


class Stub:
    """Sends single messages over gRPC."""

    def __init__(self, place, papers=None):
        target = f"127.0.0.1:{place.grpc}"
        self.channel = grpc.secure_channel(target, credentials(papers), TARGET) if papers else grpc.insecure_channel(target, LONG)
        self.export = MetricsServiceStub(self.channel).Export

    def send(self, request, **more):
        partial = self.export(request, timeout=30, **more).partial_success
        return partial.rejected_data_points, partial.error_message

    def fails(self, request, **more):
        try:
            self.send(request, **more)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError("it was accepted")


def post(place, body, **headers):
    return requests.post(f"http://127.0.0.1:{place.http}/v1/metrics", body, headers={"Content-Type": "application/x-protobuf"} | headers, timeout=30)


def sdk(exporter, resource, interval_ms=1000):
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=interval_ms)
    return MeterProvider(resource=Resource(resource), metric_readers=[reader])


def the_sdk_over_both_protocols_makes_hosts_with_processors_memory_network_and_disks(place):
    exporters = {
        "sdk-grpc": GrpcExporter(endpoint=f"127.0.0.1:{place.grpc}", insecure=True, compression=grpc.Compression.Gzip),
        "sdk-http": HttpExporter(endpoint=f"http://127.0.0.1:{place.http}/v1/metrics", compression=Compression.Gzip),
    }
    for host, exporter in exporters.items():
        provider = sdk(exporter, {"host.name": host, "service.name": "shop", "os.type": "linux"})
        SystemMetricsInstrumentor().instrument(meter_provider=provider)
        jobs = provider.get_meter("test").create_counter("jobs.done", unit="{job}")
        jobs.add(41, {"queue": "a"})

        def is_whole():
            jobs.add(0, {"queue": "a"})
            shown = place.hosts().get(host, {"metrics": {}})["metrics"]
            return all(shown.get(name) is not None for name in ("cpu", "mem", "net.rx", "net.tx", "disk.read", "disk.write"))

        until(f"{host} has values", is_whole)
        provider.get_meter("test").create_gauge("queue.length").set(42)
        assert provider.force_flush()
        found = place.hosts()[host]
        assert (found["source"], found["state"], found["os"]) == ("otlp local", "live", "linux"), found
        until("its interval is known", lambda: place.hosts()[host]["interval_ms"] == 1000)
        labels, values = place.query("jobs.done", host)[0]
        assert labels["queue"] == "a" and labels["service.name"] == "shop", labels
        provider.shutdown()
        assert place.query("queue.length", host)[0][1][-1] == 42
        assert found["duplicate_rows"] == found["missing_rows"] == 0, found
        SystemMetricsInstrumentor().uninstrument()


def a_gateway_writes_the_hosts_of_its_certificate_and_no_others(place):
    papers = place.issue("gateway", "col-1", "--hosts", "web-*", "--max-hosts", "2")
    place.issue("agent", "web-9")
    stub = Stub(place, papers)
    for host in ("web-1", "web-2"):
        assert stub.send(message(host, [1.5])) == (0, "")
    for host, why in {
        "db-1": "it is not among the hosts of the certificate",
        "web-3": "beyond 2, the most of this sender",
        "web-9": "an agent has this name",
        "web-1\x1b[2J": "cannot be a name",
        None: "without the resource attribute host.name",
    }.items():
        rejected, text = stub.send(message(host, [1.0, 2.0]))
        assert rejected == 2 and why in text, (host, text)
    assert place.hosts()["web-1"]["source"] == "otlp gateway col-1"
    # Nor may a program on this machine write what a gateway sends.
    rejected, text = Stub(place).send(message("web-1", [1.0]))
    assert rejected == 1 and "otlp gateway col-1 sends its rows" in text, text
    exporter = GrpcExporter(endpoint=f"https://127.0.0.1:{place.grpc}", credentials=credentials(papers), channel_options=tuple(TARGET))
    provider = sdk(exporter, {"host.name": "web-1", "service.name": "shop"})
    provider.get_meter("test").create_gauge("requests.open").set(7)
    assert provider.force_flush()
    provider.shutdown()
    assert place.query("requests.open", "web-1")[0][1][-1] == 7


def a_certificate_of_one_host_names_it(place):
    papers = place.issue("agent", "app-1")
    ca, cert, key = (str(place.path / "app-1" / f"{file}.pem") for file in ("ca", "cert", "key"))
    exporter = HttpExporter(endpoint=f"https://{NAME}:{place.http}/v1/metrics", certificate_file=ca, client_certificate_file=cert, client_key_file=key)
    provider = sdk(exporter, {"service.name": "shop"})
    provider.get_meter("test").create_gauge("queue.length").set(12)
    assert provider.force_flush()
    provider.shutdown()
    assert set(place.query("queue.length", "app-1")[0][1]) == {12}
    stub = Stub(place, papers)
    assert stub.send(message("app-1.example.org", [1.0])) == (0, "")
    rejected, text = stub.send(message("web-1", [1.0]))
    assert rejected == 1 and "while the certificate is that of app-1" in text, text


def others_are_refused(place):
    for role in ("operator", "edge"):
        name = f"{role}-x"
        code, _ = Stub(place, place.issue(role, name)).fails(message("web-1", [1.0]))
        assert code == grpc.StatusCode.UNAVAILABLE, code
        until("it is logged", lambda: f"only certificates of role agent or gateway may send OTLP, not {role} {name}" in place.log())
    ca = str(place.path / "operator" / "ca.pem")
    try:
        requests.post(f"https://{NAME}:{place.http}/v1/metrics", b"", verify=ca, timeout=10)
        raise AssertionError("without a certificate")
    except requests.exceptions.RequestException:
        pass
    stub = Stub(place, place.issue("gateway", "col-9", "--hosts", "shop-*"))
    assert stub.send(message("shop-2", [1.0])) == (0, "")
    place.command("hub", "--state", "hub", "cert", "revoke", "col-9")
    until("it is refused", lambda: refused(stub))


def refused(stub):
    try:
        stub.send(message("shop-2", [1.0]))
        return False
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (grpc.StatusCode.PERMISSION_DENIED, "this certificate has been revoked")
        return True


def a_token_enrols_a_gateway_and_its_certificate_is_renewed_without_an_agent(place):
    create = ("--state", "hub", "token", "create", "--role", "gateway", "--name", "col-2", "--hosts", "mail-*")
    shown = place.command("hub", *create)
    assert "sysmon-agent join --once --state sysmon-gateway" in shown, shown
    token = shown.split()[-1]
    place.command("agent", "join", "--once", "--state", "gw", f"127.0.0.1:{place.port}", token)
    assert "gateway col-2: not due yet" in place.command("agent", "renew", "--state", "gw")
    papers = place.papers("gw")
    stub = Stub(place, papers)
    assert stub.send(message("mail-1", [1.0])) == (0, "")
    assert stub.send(message("web-5", [1.0]))[0] == 1


def what_cannot_be_kept_is_rejected_with_its_reason(place):
    stub = Stub(place)
    assert "with delta temporality" in stub.send(message("bad", [1.0, 2.0], kind="delta"))[1]
    assert stub.send(message("bad", [math.nan])) == (0, "")
    assert "bad" not in place.hosts() or place.hosts()["bad"]["rows"] == 0
    request = message("bad", [])
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="latency")
    metric.histogram.aggregation_temporality = metrics.AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.histogram.data_points.add(time_unix_nano=now_ns(), count=1, bucket_counts=[1])
    assert "of histograms or summaries" in stub.send(request)[1]
    future = (1.0, {}, now_ns() + 7_200 * 10**9)
    assert "hour ahead" in stub.send(message("bad", [future]))[1]
    assert "sysmon." in stub.send(message("bad", [1.0], name="sysmon.hub.lag"))[1]


def repeated_messages_and_points_count_once_over_a_crash_of_the_hub_too(place):
    at = now_ns()
    request = message("twice", [(1.0, {"n": str(n)}, at) for n in range(3)])
    other = message("twice", [(1.0, {"n": str(n)}, at) for n in range(3)], description="same points, other bytes")
    stub = Stub(place)
    for one in (request, request, other):
        assert stub.send(one) == (0, "")
    found = place.hosts()["twice"]
    assert (found["rows"], found["duplicate_rows"]) == (1, 1), found
    place.kill_hub()
    place.start_hub()
    assert Stub(place).send(request) == (0, "")
    found = until("the hub has its history", lambda: place.hosts().get("twice"))
    assert (found["rows"], found["duplicate_rows"], found["missing_rows"]) == (1, 1, 0), found


def nothing_is_lost_or_doubled_when_the_hub_is_killed(place):
    """A sender that repeats what was not answered; every point is a second of its own."""
    start, sent, stub = now_ns() - 200 * 10**9, 0, Stub(place)
    for n in range(60):
        if n in (20, 40):
            place.kill_hub()
            place.start_hub()
            stub = Stub(place)
        request = message("crash", [(float(n), {}, start + n * 2 * 10**9)])

        def is_accepted():
            nonlocal stub
            try:
                return stub.send(request) == (0, "")
            except grpc.RpcError:
                stub = Stub(place)
                return False

        if n % 10 == 5:
            stub.export.future(request, timeout=30).cancel()
        until("it is accepted", is_accepted)
        sent += 1
    values = place.query("test.value", "crash")[0][1]
    assert values == [float(n) for n in range(sent)], values
    assert place.hosts()["crash"]["rows"] == sent


def the_interval_of_a_sender_decides_when_it_is_stale(place):
    stub, start = Stub(place), now_ns()
    for n in range(3):
        stub.send(message("slow", [(1.0, {}, start - (3 - n) * 10 * 10**9)]))
    assert place.hosts()["slow"]["interval_ms"] == 10_000
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        # Stale after 2 s for a sender that sends every second.
        assert place.hosts()["slow"]["state"] == "live"
        time.sleep(0.5)


def a_million_series_leave_the_host_and_others_as_they_are(place):
    stub = Stub(place)
    rejected = 0
    for part in range(20):
        points = [(1.0, {"n": str(part * 50_000 + n)}, now_ns()) for n in range(50_000)]
        rejected += stub.send(message("million", points))[0]
    assert rejected == 1_000_000 - 4_096, rejected
    assert place.hosts()["million"]["series"] == 4_096
    assert Stub(place).send(message("calm", [1.0])) == (0, "")


def messages_that_are_too_long_or_stand_for_too_much_are_refused(place):
    stub = Stub(place)
    long = message("long", [1.0])
    long.resource_metrics[0].scope_metrics[0].metrics[0].description = "x" * (64 << 20)
    code, text = stub.fails(long)
    assert code == grpc.StatusCode.OUT_OF_RANGE, (code, text)
    assert stub.fails(long, compression=grpc.Compression.Gzip)[0] in (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    body = long.SerializeToString()
    assert post(place, gzip.compress(body), **{"Content-Encoding": "gzip"}).status_code == 413
    try:
        assert post(place, body).status_code == 413
    except requests.exceptions.ConnectionError:
        # The hub answers before the whole body is there, and closes.
        pass
    bomb = gzip.compress(bytes(1 << 30), 1)
    assert post(place, bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    many = message("many", [])
    data = many.resource_metrics[0].scope_metrics[0].metrics[0].gauge
    for _ in range(400_000):
        data.data_points.add()
    assert post(place, many.SerializeToString()).status_code == 413
    assert stub.fails(many)[0] == grpc.StatusCode.OUT_OF_RANGE
    garbage = random.Random(7).randbytes(5_000)
    assert post(place, garbage).status_code == 400
    assert post(place, garbage, **{"Content-Encoding": "gzip"}).status_code == 400
    assert post(place, b"{}", **{"Content-Type": "application/json"}).status_code == 415
    assert Stub(place).send(message("calm", [2.0])) == (0, "")


def pages_in_a_browser_cannot_send(place):
    good = message("page", [1.0]).SerializeToString()
    assert post(place, good, Host="evil.example").status_code == 403
    assert post(place, good, Origin="http://evil.example").status_code == 403
    # The other port, as a page can send without asking: gRPC's frame in a body of text.
    frame = b"\0" + len(good).to_bytes(4, "big") + good
    export = f"http://127.0.0.1:{place.grpc}/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/grpc", "Origin": "http://evil.example"}):
        requests.post(export, frame, headers=headers, timeout=10)
    assert "page" not in place.hosts()
    assert post(place, good, Host=f"localhost:{place.http}").status_code == 200


def a_host_of_an_agent_is_its_agents(place):
    place.issue("agent", "mine")
    place.start("mine", "agent", "--hub", f"127.0.0.1:{place.port}")
    until("the agent sends", lambda: place.hosts().get("mine", {"rows": 0})["rows"] > 3)
    for stub in (Stub(place), Stub(place, place.papers("mine"))):
        rejected, text = stub.send(message("mine", [1.0]))
        assert rejected == 1 and "its agent sends its rows" in text, text
    assert place.hosts()["mine"]["source"] == "agent"


CHECKS = [
    the_sdk_over_both_protocols_makes_hosts_with_processors_memory_network_and_disks,
    a_gateway_writes_the_hosts_of_its_certificate_and_no_others,
    a_certificate_of_one_host_names_it,
    others_are_refused,
    a_token_enrols_a_gateway_and_its_certificate_is_renewed_without_an_agent,
    what_cannot_be_kept_is_rejected_with_its_reason,
    repeated_messages_and_points_count_once_over_a_crash_of_the_hub_too,
    nothing_is_lost_or_doubled_when_the_hub_is_killed,
    the_interval_of_a_sender_decides_when_it_is_stale,
    a_million_series_leave_the_host_and_others_as_they_are,
    messages_that_are_too_long_or_stand_for_too_much_are_refused,
    pages_in_a_browser_cannot_send,
    a_host_of_an_agent_is_its_agents,
]


def main():
    logging.disable(logging.CRITICAL)
    wanted = sys.argv[1:]
    with Place() as place:
        for check in CHECKS:
            if wanted and not any(word in check.__name__ for word in wanted):
                continue
            start = time.monotonic()
            check(place)
            print(f"ok   {check.__name__.replace('_', ' ')} ({time.monotonic() - start:.1f} s)", flush=True)


main()
