"""supervm: every command and every exit code, against a development chain."""
import base64
import json
import os
import re
import stat

from harness import client, node, stalled, workdir

HEX32 = re.compile(r"0x[0-9a-f]{64}")


def test_usage():
    assert "COMMAND" in client("help").out
    assert client("--version").out.startswith("supervm ")
    for args in ([], ["nonsense"], ["send", "alice"], ["object"], ["object", "0x12"],
                 ["send", "alice", "bob", "-5"], ["send", "alice", "bob", "0"], ["-o", "xml", "status"],
                 ["stats", "--wach"], ["key", "new"], ["tx"], ["tx", "build"], ["rpc"],
                 ["rpc", "node_info", "junk"], ["tx", "decode", "!!!!"], ["--url"],
                 ["tx", "build", "--from", "alice", "--chain", "1", "--pay", "0,bob,5"],
                 ["tx", "build", "--from", "alice", "--chain", "1", "--owned", "counter@x"],
                 ["tx", "submit", "--timeout-ms", "soon", "AAAA"]):
        done = client(*args, code=2)
        assert done.out == "" and done.err != "", args


def test_no_connection_names_the_place():
    done = client("--url", "http://127.0.0.1:1", "status", code=3)
    assert "http://127.0.0.1:1" in done.err and "supervmd --dev" in done.err
    done = client("--socket", "/nonexistent.sock", "status", code=3)
    assert "unix:/nonexistent.sock" in done.err
    done = client("send", "alice", "bob", "1", env={"SUPERVM_URL": "http://127.0.0.1:2/"}, code=3)
    assert "http://127.0.0.1:2:" in done.err, done.err


def test_keys():
    with workdir() as d:
        path = os.path.join(d, "key")
        made = client("-o", "json", "key", "new", path).json
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert HEX32.fullmatch(made["address"]) and HEX32.fullmatch(made["publicKey"])
        assert client("-o", "json", "key", "show", path).json == made
        with open(path, encoding="utf-8") as f:
            seed = f.read().strip()
        client("key", "new", path, code=1)  # never overwritten
        with open(path, encoding="utf-8") as f:
            assert f.read().strip() == seed
        signature = client("key", "sign", path, stdin="hello").out.strip()
        assert re.fullmatch(r"0x[0-9a-f]{128}", signature)
        assert client("key", "sign", path, "hello").out.strip() == signature
        client("key", "verify", made["publicKey"], signature, stdin="hello")
        client("key", "verify", made["publicKey"], signature, stdin="hullo", code=1)
        for args in (["new", path], ["show", path], ["sign", path, "x"]):
            done = client("key", *args, code=None)
            assert seed not in done.out + done.err
        os.chmod(path, 0o644)
        assert "0600" in client("key", "show", path, code=2).err
        client("key", "show", os.path.join(d, "none"), code=2)


def balance_of(n, who):
    items = n.cli("-o", "json", "owned", who).json
    return sum(int(item["balance"]) for item in items)


def test_send():
    with node("--dev") as n:
        receipt = n.cli("-o", "json", "send", "alice", "bob", "5").json
        assert receipt["path"] == "fast" and receipt["failure"] is None
        assert balance_of(n, "bob") == 1_005_005 and balance_of(n, "alice") == 1_004_995
        # more than the largest coin: the others are merged into it
        n.cli("send", "alice", "bob", "1003000")
        assert balance_of(n, "alice") == 1_995
        done = n.cli("send", "alice", "bob", "1996", code=1)
        assert "1995" in done.err, done.err
        n.cli("send", "alice", "carol", "1995")  # to the last unit
        assert balance_of(n, "alice") == 0
        with workdir() as d:
            path = os.path.join(d, "key")
            client("key", "new", path)
            n.cli("send", "bob", path, "100")
            n.cli("send", path, "carol", "40")
            assert balance_of(n, path) == 60
            address = client("-o", "json", "key", "show", path).json["address"]
            n.cli("send", "bob", address, "1")
            assert balance_of(n, address) == 61


def test_table_of_a_receipt():
    with node("--dev") as n:
        out = n.cli("send", "alice", "bob", "5").out
        assert re.search(r"^status +(executed|durable)$", out, re.M), out
        assert re.search(r"^path +fast$", out, re.M) and re.search(r"^latency +\d+ us$", out, re.M)
        digest = re.search(r"^digest +(0x\w+)$", out, re.M).group(1)
        assert digest in n.cli("tx", digest).out
        n.cli("tx", digest, "--wait", "executed")
        done = n.cli("tx", "0x" + "00" * 32, code=1)
        assert "NOT_FOUND" in done.err


def build(chain, *parts):
    return client("tx", "build", "--chain", chain, "--nonce", "7", *parts).out.strip()


def test_build_sign_decode_submit_offline():
    with node("--dev") as n:
        chain = n.rpc("node_info")["chain"]["id"]
        unsigned = build(chain, "--from", "alice", "--owned", "alice spare 3@1", "--shared", "counter",
                         "--pay", "0,bob,6", "--add", "1,0,41", "--add", "1,0,-1",
                         "--create", "alice,note,hello")
        mine = client("tx", "decode", unsigned).json
        assert mine["signed"] is False and mine["transaction"]["chain"] == chain
        assert mine["transaction"]["expiresMs"] == "0" and mine["transaction"]["nonce"] == "7"
        assert base64.b64decode(mine["transaction"]["ops"][3]["data"]) == b"hello"
        signed = client("tx", "sign", "--key", "alice", "-", stdin=unsigned + "\n").out.strip()
        ours = client("tx", "decode", signed).json
        assert ours["signed"] and ours["verified"] and ours["digest"] == mine["digest"]
        theirs = n.rpc("tx_decode", tx=signed)
        for key in ("digest", "transaction", "tx", "publicKey", "signature"):
            assert theirs[key] == ours[key], key
        wrong = client("tx", "sign", "--key", "bob", unsigned).out.strip()
        assert client("tx", "decode", wrong).json["verified"] is False
        assert "BAD_SIGNATURE" in n.cli("tx", "submit", wrong, code=1).err
        receipt = n.cli("-o", "json", "tx", "submit", "-", stdin=signed).json
        assert receipt["digest"] == ours["digest"] and receipt["path"] == "consensus"
        data = n.cli("-o", "json", "object", "counter").json["object"]["data"]
        assert base64.b64decode(data)[:8] == b"\x28" + bytes(7), data
        assert n.cli("-o", "json", "tx", "submit", signed).json["duplicate"] is True


def test_every_operation_builds():
    some = "0x" + "ab" * 32
    inputs = ["--owned", some, "--owned", "alice coin@4", "--shared-read", "pool", "--immutable", "notice",
              "--shared", "counter"]
    for ops in (["--transfer", "0,bob"], ["--pay", "0,bob,1"], ["--move", "0,1,1"], ["--update", "4,0x00ff"],
                ["--add", "4,8,-9223372036854775808"], ["--expect-balance", "2,5"],
                ["--expect-hash", "3," + some], ["--expect-version", "1,4"], ["--delete", "0"],
                ["--share", "0"], ["--share-open", "1"], ["--freeze", "1"],
                ["--create", "shared-open,a.b,x"], ["--create", "immutable,a,"]):
        text = build("5", "--from", some, *inputs, *ops)
        decoded = client("tx", "decode", text).json["transaction"]
        assert len(decoded["inputs"]) == 5 and len(decoded["ops"]) == 1
        ids = [item["id"] for item in decoded["inputs"]]
        assert ids == sorted(ids)
        if ops[0] == "--add":
            assert (decoded["ops"][0]["offset"], decoded["ops"][0]["delta"]) == (8, str(-2**63))
        index = int(ops[1].split(",")[0]) if ops[0] != "--create" else None
        if index == 0:
            op = decoded["ops"][0]
            assert ids[op.get("input", op.get("from"))] == some
    client("tx", "build", "--chain", "5", "--from", some, "--shared-read", "pool", "--update", "0,x", code=2)


def test_exit_codes_of_a_transaction():
    with workdir() as d, node("--dev", "--datadir", os.path.join(d, "data")) as n:
        chain = n.rpc("node_info")["chain"]["id"]

        def submit(spare, amount, *flags, code):
            unsigned = build(chain, "--from", "alice", "--owned", f"alice spare {spare}@1",
                             "--pay", f"0,bob,{amount}")
            signed = client("tx", "sign", "--key", "alice", unsigned).out.strip()
            return n.cli("tx", "submit", *flags, signed, code=code).out

        assert "INSUFFICIENT_BALANCE" in submit(0, 1001, code=4)
        assert "durable" in submit(1, 1, code=0)
        with stalled(n, "svm-commit"):  # nothing becomes durable
            assert "executed" in submit(2, 1, "--wait", "executed", code=0)
            assert "pending" in submit(3, 1, "--timeout-ms", "50", code=5)
        out = submit(3, 1, code=0)
        assert "durable (duplicate)" in out, out


def test_rpc_values():
    with node("--dev") as n:
        assert n.cli("rpc", "node_info").json["chain"]["dev"] is True
        address = n.rpc("dev_accounts")["items"][0]["address"]
        result = n.cli("rpc", "object_listByOwner", f"owner={address}", "limit=2").json
        assert len(result["items"]) == 2
        ids = json.dumps([item["id"] for item in result["items"]])
        assert len(n.cli("rpc", "object_getMany", f"ids={ids}").json["items"]) == 2
        assert "METHOD_NOT_FOUND" in n.cli("rpc", "node_inf", code=1).err
        assert "INVALID_PARAMS" in n.cli("rpc", "object_get", "id=7", code=1).err
        assert re.search(r"^chain\.id +\d+$", n.cli("-o", "table", "rpc", "node_info").out, re.M)
        n.cli("rpc", "node_info", "x={", code=2)
        # admin methods answer on the socket alone
        assert "FORBIDDEN" in n.cli("rpc", "admin_config", code=1).err
        assert "node.dev" in n.admin("rpc", "admin_config").json["config"]
        assert client("status", env={"SUPERVM_SOCKET": n.socket}).out.startswith("node      unix:")


def test_views():
    with node("--dev") as n:
        n.cli("send", "alice", "bob", "5")
        out = n.cli("owned", "bob").out
        assert out.splitlines()[0].split() == ["id", "version", "kind", "balance", "type"]
        assert len(out.splitlines()) == 8
        assert re.search(r"^object\.kind +shared$", n.cli("object", "counter").out, re.M)
        out = n.cli("stats").out
        assert re.search(r"^fast +1 +1 +0 ", out, re.M), out
        assert n.cli("-o", "json", "stats").json["completed"]["fast"] == 1
        out = n.cli("status").out
        assert re.search(r"^health +ok$", out, re.M) and "[+]" in out, out
        out = n.cli("doctor").out
        assert "[BAD]" not in out and "a node answers" in out, out
