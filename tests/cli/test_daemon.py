"""supervmd: its command line, its configuration, how it starts, reloads and ends."""
import base64
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from harness import (CLIENT, DAEMON, Manager, Node, RpcError, call, clean_env, client, daemon, node,
                     stalled, workdir)


def refused(code, part, *args, **more):
    """supervmd ARGS ends with CODE and says PART on stderr, in few lines."""
    got, out, err = daemon(*args, **more)
    assert got == code, f"exit {got}:\n{out}{err}"
    assert part in err, err
    assert out == "", out
    return err


def test_help_and_version():
    code, out, err = daemon("--help")
    assert (code, err) == (0, "") and "--durability" in out and "[gc]" in out
    code, out, _ = daemon("--version")
    assert code == 0 and re.fullmatch(r"supervmd \d+\.\d+\.\d+.*\n", out), out


def test_usage_errors():
    err = refused(2, "did you mean --node.datadir?", "--dev", "--datadri", "x")
    assert err.count("\n") == 1, err
    refused(2, "needs a value", "--dev", "--listen")
    refused(2, "unexpected argument", "--dev", "stray")
    refused(2, "--gc.interval", "--dev", "--gc.interval", "5")


def test_config_errors():
    refused(1, "--genesis FILE")
    refused(1, "not loopback", "--dev", "--listen", "0.0.0.0:0")
    refused(1, "--datadir DIR", "--dev", "--durability", "sync")
    with workdir() as d:
        path = os.path.join(d, "c.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write("[node]\ndev = on\n[gc]\nintervall = 1s\n")
        refused(1, f"{path}:4: gc.intervall is unknown; did you mean gc.interval?",
                "--check-config", "--config", path)
        refused(1, "environment SUPERVM_GC_INTERVAL", "--check-config", "--dev",
                env={"SUPERVM_GC_INTERVAL": "soon"})


def test_check_and_print_config():
    assert daemon("--dev", "--check-config") == (0, "the configuration is valid\n", "")
    code, out, _ = daemon("--dev", "--print-config", env={"SUPERVM_GC_INTERVAL": "200ms"})
    assert code == 0
    assert "interval = 200ms ; environment" in out and "dev = on ; flag" in out
    with workdir() as d:
        path = os.path.join(d, "c.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(out)
        again = daemon("--config", path, "--print-config")[1]
        assert f"interval = 200ms ; file {path}:" in again
        strip = re.compile(r" ; .*")
        assert strip.sub("", again) == strip.sub("", out)


def test_ready_line_and_orderly_end():
    for number in (signal.SIGTERM, signal.SIGINT):
        with node("--dev") as n:
            assert n.address.startswith("127.0.0.1:") and os.path.exists(n.socket)
            assert n.rpc("node_info")["chain"]["dev"] is True
            path = n.socket
            assert n.stop(number) == 0, n.stderr
            assert not os.path.exists(path)
            assert "engine.closed" in n.stderr


def test_admin_stop():
    with node("--dev") as n:
        n.admin("rpc", "admin_stop")
        assert n.wait() == 0, n.stderr


def test_admin_drain_keeps_reads():
    with node("--dev") as n:
        n.admin("rpc", "admin_drain")
        n.wait_for("engine.drained")
        assert n.rpc("node_health")["status"] == "draining"
        n.cli("object", "counter")
        done = n.cli("send", "alice", "bob", "1", code=1)
        assert "SHUTTING_DOWN" in done.err, done.err


def test_no_socket():
    with node("--dev", "--rpc-socket", "none") as n:
        assert n.socket is None
        n.rpc("node_info")


def test_port_in_use():
    with node("--dev") as n:
        err = refused(1, n.address, "--dev", "--listen", n.address)
        assert "in use" in err.lower(), err


def test_data_directory_is_locked_and_foreign():
    with workdir() as d:
        data = os.path.join(d, "data")
        with node("--dev", "--datadir", data):
            err = refused(1, "LOCKED", "--dev", "--datadir", data, "--listen", "127.0.0.1:0")
            assert data in err
        genesis = os.path.join(d, "genesis.json")
        with open(genesis, "w", encoding="utf-8") as f:
            f.write('{"name": "other", "timeMs": "1700000000000", "objects": []}')
        refused(1, "FOREIGN_DATA", "--genesis", genesis, "--datadir", data,
                "--listen", "127.0.0.1:0")
        with open(genesis, "w", encoding="utf-8") as f:
            f.write('{"name": "other"')
        refused(1, "BAD_GENESIS", "--genesis", genesis, "--datadir", os.path.join(d, "new"),
                "--listen", "127.0.0.1:0")


def test_a_chain_of_its_own():
    with workdir() as d:
        genesis = os.path.join(d, "genesis.json")
        with open(genesis, "w", encoding="utf-8") as f:
            f.write('{"name": "other", "timeMs": "1700000000000", "objects": []}')
        with node("--genesis", genesis, "--datadir", os.path.join(d, "data")) as n:
            assert n.rpc("node_info")["chain"]["dev"] is False
            try:
                n.rpc("dev_accounts")
                raise AssertionError("dev_accounts answered")
            except RpcError as e:
                assert e.name == "METHOD_DISABLED"


def test_dev_curl_lines():
    """The printed lines are what a shell runs; they do not depend on the machine; twice is a duplicate."""
    with node("--dev") as n:
        lines = daemon("--dev", "--print-dev-curl", "--listen", n.address)[1].splitlines()
        assert len(lines) == 2
        for path, line in zip(("fast", "consensus"), lines):
            for duplicate in (False, True):
                out = subprocess.run(["sh", "-c", line], capture_output=True, check=True,
                                     env=clean_env({"no_proxy": "*"})).stdout
                result = json.loads(out)["result"]
                assert result["path"] == path and result["failure"] is None, result
                assert result["duplicate"] is duplicate
        data = n.cli("-o", "json", "object", "counter").json["object"]["data"]
        assert base64.b64decode(data)[:8] == b"\1" + bytes(7), data


def test_state_survives_a_stop():
    with workdir() as d:
        data = os.path.join(d, "data")
        with node("--dev", "--datadir", data) as n:
            digest = n.cli("-o", "json", "send", "alice", "bob", "7").json["digest"]
        with node("--dev", "--datadir", data) as n:
            assert n.rpc("tx_get", digest=digest)["status"] == "durable"


def test_a_stop_under_load_loses_nothing():
    """Clients submit while SIGTERM comes: exit 0, and each answer `durable` holds after the restart."""
    with workdir() as d:
        data = os.path.join(d, "data")
        durable, odd = [], []
        with node("--dev", "--datadir", data) as n:

            def work(name):
                while True:
                    try:
                        result = call(n.url, "dev_send", {"from": name, "to": "bob", "amount": "1"})
                        durable.append(result["digest"])
                    except RpcError as e:
                        if e.name == "SHUTTING_DOWN":
                            return
                        odd.append(e.error)
                        if len(odd) > 100:
                            return
                    except OSError:
                        return

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for name in ("alice", "carol", "dave", "erin"):
                    pool.submit(work, name)
                time.sleep(0.7)
                assert n.stop() == 0, n.stderr
        assert len(durable) > 20, (len(durable), odd[:3])
        assert not odd, odd[:3]
        with node("--dev", "--datadir", data) as n:
            for digest in durable:
                assert n.rpc("tx_get", digest=digest)["status"] == "durable"


def test_a_stop_answers_what_is_admitted():
    """A submission waits for durability that cannot come yet; SIGTERM; then it comes: the client gets its receipt."""
    with workdir() as d, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with node("--dev", "--datadir", os.path.join(d, "data")) as n:
            with stalled(n, "svm-commit"):
                waiting = pool.submit(n.rpc, "dev_send", **{"from": "alice", "to": "bob", "amount": "1"})
                time.sleep(0.3)
                n.notify(signal.SIGTERM)
                n.wait_for("node.draining")
                time.sleep(0.5)
                assert n.process.poll() is None and not waiting.done()
            assert waiting.result(10)["status"] == "durable"
            assert n.wait() == 0, n.stderr


def test_patience_with_clients_ends_but_not_with_the_engine():
    """After node.drain_timeout clients are cut; the engine still finishes before anything is freed."""
    with workdir() as d, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with node("--dev", "--datadir", os.path.join(d, "data"), "--node.drain_timeout", "1s") as n:
            with stalled(n, "svm-commit"):
                pool.submit(n.rpc, "dev_send", **{"from": "alice", "to": "bob", "amount": "1"})
                time.sleep(0.3)
                n.notify(signal.SIGTERM)
                n.wait_for("node.drain_timeout engine_drained=false")
                time.sleep(0.5)
                n.read(0)
                assert n.process.poll() is None and "engine.drained" not in n.stderr, n.stderr
            assert n.wait() == 0, n.stderr
            assert "engine.drained" in n.stderr


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def config_of(n, name):
    return n.admin("rpc", "admin_config").json["config"][name]["value"]


def test_reload():
    with workdir() as d:
        path = os.path.join(d, "c.conf")
        write(path, "[node]\ndev = on\n[gc]\ninterval = 100ms\n[engine]\nworkers = 1\n")
        with node("--config", path) as n:
            write(path, "[node]\ndev = on\n[gc]\ninterval = 200ms\n[engine]\nworkers = 2\n"
                        "[log]\nlevel = debug\n")
            n.notify(signal.SIGHUP)
            n.wait_for(r"config\.reloaded changes=3")
            assert re.search(r"config\.changed name=gc\.interval from=100ms to=200ms", n.stderr)
            assert re.search(r"config\.needs_restart name=engine\.workers from=1 to=2", n.stderr)
            assert config_of(n, "gc.interval") == "200ms"
            assert config_of(n, "engine.workers") == "1"
            # all or nothing: the first line is good, the second is not
            write(path, "[gc]\ninterval = 300ms\nthreshold = none\n[node]\ndev = on\n")
            n.notify(signal.SIGHUP)
            n.wait_for(r"config\.rejected reason=.*c\.conf:3: gc\.threshold")
            assert config_of(n, "gc.interval") == "200ms"
            done = n.admin("rpc", "admin_reload", code=1)
            assert "gc.threshold" in done.err, done.err
            write(path, "[gc]\ninterval = 400ms\n[node]\ndev = on\n[engine]\nworkers = 1\n")
            n.admin("rpc", "admin_reload")
            assert config_of(n, "gc.interval") == "400ms"


def test_a_reload_reaches_engine_and_gateway():
    def status(n, host):
        request = urllib.request.Request(n.url + "/livez", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code

    with workdir() as d:
        path = os.path.join(d, "c.conf")
        write(path, "[node]\ndev = on\n")
        with node("--config", path) as n:
            line = daemon("--dev", "--print-dev-curl")[1].splitlines()[1]
            tx = re.search(r'"tx":"([^"]+)"', line).group(1)  # it has two inputs
            assert status(n, "node.example") == 403
            write(path, "[node]\ndev = on\n[tx]\ninputs_max = 1\n[rpc]\nhosts = a.example, node.example\n")
            n.admin("rpc", "admin_reload")
            assert status(n, "node.example") == 200
            try:
                n.rpc("tx_submit", tx=tx)
                raise AssertionError("a transaction with two inputs was taken")
            except RpcError as e:
                assert e.name == "LIMIT_EXCEEDED", e.error
            write(path, "[node]\ndev = on\n")
            n.admin("rpc", "admin_reload")
            assert status(n, "node.example") == 403
            assert n.rpc("tx_submit", tx=tx)["status"] == "executed"


def test_log_level_and_format():
    with node("--dev", "--log-format", "json") as n:
        n.admin("rpc", "admin_setLogLevel", "level=error")
        n.wait_for(r'"event":"log.level_set"')
        n.admin("rpc", "admin_setLogLevel", "level=loud", code=1)
        assert n.stop() == 0
        lines = [line for line in n.stderr.splitlines() if not line.startswith("supervmd ready")]
        events = [json.loads(line)["event"] for line in lines]
        assert "node.ready" in events and "node.stopping" not in events, events


def test_service_manager():
    with workdir() as d:
        manager = Manager(d)
        path = os.path.join(d, "c.conf")
        write(path, "[node]\ndev = on\n")
        with node("--config", path, env=manager.env(watchdog_us=900000)) as n:
            ready = manager.wait_for("READY")
            assert ready["READY"] == "1" and ready["STATUS"]
            assert manager.count("WATCHDOG", 2) >= 3
            n.notify(signal.SIGHUP)
            reloading = manager.wait_for("RELOADING")
            now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            assert 0 <= now_us - int(reloading["MONOTONIC_USEC"]) < 5_000_000
            manager.wait_for("READY")
            n.notify(signal.SIGTERM)
            manager.wait_for("STOPPING")
            assert n.wait() == 0, n.stderr
        manager.close()


def test_a_stalled_thread_holds_the_watchdog_back():
    """One thread is stopped from outside; the loop goes on answering, but the pings end until it moves again."""
    for name, told in (("svm-work-1", "worker"), ("svm-commit", "committer")):
        with workdir() as d:
            manager = Manager(d)
            with node("--dev", "--engine.workers", "2", env=manager.env(watchdog_us=900000)) as n:
                manager.wait_for("READY")
                assert manager.count("WATCHDOG", 1.5) >= 2
                with stalled(n, name):
                    manager.count("WATCHDOG", 0.7)  # one may have been on its way
                    assert manager.count("WATCHDOG", 2) == 0
                    n.wait_for(rf"watchdog\.stalled thread={told}")
                    n.rpc("node_info")
                assert manager.count("WATCHDOG", 2) >= 2
            manager.close()


def test_a_second_signal_does_not_wait_for_clients():
    with node("--dev", "--node.drain_timeout", "1h") as n:
        idle = socket.create_connection(n.address.split(":"))
        idle.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                     b"Content-Type: application/json\r\n\r\n{")
        n.notify(signal.SIGTERM)
        n.wait_for("node.stopping")
        time.sleep(0.3)
        if n.process.poll() is None:
            n.notify(signal.SIGTERM)
        assert n.wait(10) == 0, n.stderr
        idle.close()


def test_full_standard_output_is_an_error():
    with open("/dev/full", "w", encoding="utf-8") as full:
        for program in ([DAEMON, "--help"], [CLIENT, "help"]):
            code = subprocess.run(program, stdout=full, stderr=subprocess.DEVNULL,
                                  check=False).returncode
            assert code == 1, (program, code)
