"""Real clients of real servers through one forward: curl, psql, pgbench, redis; and hundreds of connections at once."""

import asyncio
import os
import re
import subprocess

import pytest

from destinations import pattern
from processes import forwarded
from waiting import LIMIT, until

MANY = 500


def run(command, limit=LIMIT, **arguments):
    environment = {"PGDATABASE": "postgres", "PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    finished = subprocess.run(command, env=environment, capture_output=True, timeout=limit, **arguments)
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout


def until_all_are_closed(forward):
    """Waits until the forward holds no connection but the one to the service."""
    until(lambda: not forwarded(forward.port), "the end of all forwarded connections")


def fetched(forward, directory, *options, number=300):
    """Has curl fetch pages of many sizes; returns how many connections it made."""
    urls = []
    for n in range(number):
        urls += ["-o", str(directory / str(n)), f"http://127.0.0.1:{forward.port}/{n * 37}"]
    told = run(["curl", "-sS", "--fail", "-w", "%{num_connects}\n", *options, *urls])
    for n in range(number):
        assert (directory / str(n)).read_bytes() == pattern(n * 37)
    return sum(map(int, told.split()))


def test_curl_fetches_300_pages_over_one_connection(open_forward, pages, tmp_path):
    assert fetched(open_forward(pages.port), tmp_path) == 1


def test_curl_fetches_300_pages_over_a_connection_each(open_forward, pages, tmp_path):
    forward = open_forward(pages.port)
    assert fetched(forward, tmp_path, "-H", "Connection: close") == 300
    until_all_are_closed(forward)


def test_curl_fetches_300_pages_50_at_a_time(open_forward, pages, tmp_path):
    assert fetched(open_forward(pages.port), tmp_path, "--parallel", "--parallel-immediate") >= 50


def test_500_connections_at_once_are_all_answered(open_forward, pages):
    """All are open before the first asks, and each is asked for two pages."""
    forward = open_forward(pages.port)

    async def page(reader, writer, length):
        writer.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % length)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: %d\r\n" % length in head, head
        assert await reader.readexactly(length) == pattern(length)

    async def everything():
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", forward.port) for _ in range(MANY)))
        for offset in (0, 20_000):
            await asyncio.gather(*(page(*streams, offset + n) for n, streams in enumerate(opened)))
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened))

    asyncio.run(asyncio.wait_for(everything(), LIMIT))
    until_all_are_closed(forward)


@pytest.fixture
def psql(open_forward, postgres):
    """A client of the PostgreSQL server, and where the forward is."""
    forward = open_forward(postgres.port)
    place = ["-h", "127.0.0.1", "-p", str(forward.port), "-U", "postgres"]
    return lambda program, *arguments, **more: run([postgres.programs / program, *place, *arguments], **more)


def test_psql_runs_500_queries_and_copies_a_table_both_ways(psql):
    queries = "".join(f"SELECT {n}, md5('{n}');\n" for n in range(500))
    answered = psql("psql", "-XAtq", "-f", "-", input=queries.encode()).decode().splitlines()
    assert [line.split("|")[0] for line in answered] == [str(n) for n in range(500)]
    rows = b"".join(b"%d\t%s\n" % (n, b"%064d" % n**5) for n in range(10_000))
    psql("psql", "-Xq", "-c", "CREATE TABLE copied (n int, content text)")
    psql("psql", "-Xq", "-c", "COPY copied FROM STDIN", input=rows)
    assert psql("psql", "-Xq", "-c", "COPY copied TO STDOUT") == rows


def test_psql_connects_anew_for_each_of_100_queries(psql):
    script = "".join(f"\\connect\nSELECT {n};\n" for n in range(100))
    answered = psql("psql", "-XAtq", "-f", "-", input=script.encode()).decode().split()
    assert answered == [str(n) for n in range(100)]


def test_pgbench_has_no_failed_transaction(psql):
    psql("pgbench", "--initialize", "--quiet")
    told = psql("pgbench", "--client=10", "--transactions=30", "--no-vacuum").decode()
    assert "number of transactions actually processed: 300/300" in told
    assert re.search(r"number of failed transactions: 0 ", told), told


def test_redis_cli_sends_20000_commands_in_one_pipe(open_forward, redis):
    forward = open_forward(redis.port)
    place = ["redis-cli", "-h", "127.0.0.1", "-p", str(forward.port)]
    run([*place, "FLUSHALL"])
    commands = b"".join(b"*3\r\n$3\r\nSET\r\n$5\r\n%05d\r\n$5\r\n%05d\r\n" % (n, n) for n in range(20_000))
    assert b"errors: 0, replies: 20000" in run([*place, "--pipe"], input=commands)
    assert run([*place, "DBSIZE"]).strip() == b"20000"
    asked = "".join(f"GET {n:05}\n" for n in range(1000)).encode()
    assert run(place, input=asked).split() == [b"%05d" % n for n in range(1000)]


@pytest.mark.parametrize("pipeline", [1, 16])
def test_redis_benchmark_with_50_clients_runs_through(open_forward, redis, pipeline):
    forward = open_forward(redis.port)
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(forward.port), "-c", "50", "-P", str(pipeline)]
    told = run([*command, "-n", "5000", "-d", "200", "-t", "set,get,incr", "--csv"]).decode()
    print(told)
    assert {line.split('"')[1] for line in told.splitlines()[1:]} == {"SET", "GET", "INCR"}, told
