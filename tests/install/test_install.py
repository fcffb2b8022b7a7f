#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_install.py - installs a finished build into a temporary prefix and uses it from outside of the tree, the way a user
# would: pkg-config shared and static, find_package shared and static, the program. Looks at symbols and SONAME as well.
# Usage: test_install.py --cmake CMAKE --build BUILD [--cc CC]. Run by CTest.
import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = r"""
#include <peregrine/peregrine.h>
#include <stdio.h>

static int hello(per_req *req, void *user)
{
	(void)user;
	return per_reply(req, 200, PER_S("text/plain"), PER_S("Kawww\n"));
}

int main(void)
{
	per_server *srv;
	per_listen on = { .address = "127.0.0.1:0" };
	per_config config = { .listen = &on, .listen_count = 1, .handler.on_request = hello, .handle_signals = true };
	config.workers = 1;
	if (per_server_new(&srv, &config) != 0)
		return 2;
	printf("port %d\n", per_server_port(srv, 0));
	fflush(stdout);
	int err = per_server_run(srv);
	per_server_free(srv);
	return err ? 3 : 0;
}
"""
CMAKE_LISTS = """cmake_minimum_required(VERSION 3.20)
project(outside LANGUAGES C)
find_package(Peregrine {version} REQUIRED)
add_executable(outside_shared example.c)
target_link_libraries(outside_shared PRIVATE Peregrine::peregrine)
add_executable(outside_static example.c)
target_link_libraries(outside_static PRIVATE Peregrine::static)
"""
CPP = '#include <peregrine/peregrine.h>\nint main() { return per_version() == nullptr; }\n'


def run(*command, **options):
    """Runs to the end and returns stdout; raises with everything that was printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=240, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Install:
    """A build installed into a temporary prefix; the methods named test_* are the cases."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.prefix = os.path.join(work, "first")
        run(args.cmake, "--install", args.build, "--prefix", self.prefix)
        # Moved after installing: nothing may remember where it was.
        os.rename(self.prefix, os.path.join(work, "prefix"))
        self.prefix = os.path.join(work, "prefix")
        self.lib = os.path.dirname(self.find("libperegrine.a"))
        self.env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(self.lib, "pkgconfig"), LC_ALL="C")
        self.env.pop("LD_LIBRARY_PATH", None)
        self.source = os.path.join(work, "example.c")
        with open(self.source, "w", encoding="ascii") as file:
            file.write(EXAMPLE)
        self.version = re.search(r'PER_VERSION "([0-9.]+)"',
                                 open(os.path.join(ROOT, "include/peregrine/types.h"), encoding="ascii").read()).group(1)

    def find(self, name):
        for folder, _, names in os.walk(self.prefix):
            if name in names:
                return os.path.join(folder, name)
        raise AssertionError(f"{name} was not installed")

    def build(self, name, *flags, source=None, compiler=None):
        program = os.path.join(self.work, name)
        run(*(compiler or shlex.split(self.args.cc)), "-Wall", "-Wextra", "-Werror", "-o", program, source or self.source, *flags)
        return program

    def pkg_config(self, *what):
        return shlex.split(run("pkg-config", *what, "peregrine", env=self.env))

    def serve(self, program, *arguments, pattern=r"port (\d+)", env=None, expected=b"Kawww\n"):
        """Starts a server, asks it once, stops it; it must answer, and end with 0."""
        server = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env=env or self.env)
        # A server that says nothing must not hold the test.
        too_late = threading.Timer(60, server.kill)
        too_late.start()
        try:
            said, found = "", None
            while found is None:
                line = server.stdout.readline()
                said += line
                assert line, f"ended without a port: {server.wait(10)}\n{said}"
                found = re.search(pattern, line)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{found.group(1)}/", timeout=20) as answer:
                body = answer.read()
                assert answer.status == 200, answer.status
                assert expected is None or body == expected, body
            server.send_signal(signal.SIGTERM)
            rest, _ = server.communicate(timeout=40)
            assert server.returncode == 0, f"exit {server.returncode}\n{said}{rest}"
        finally:
            too_late.cancel()
            if server.poll() is None:
                server.kill()
                server.wait()
            server.stdout.close()

    def with_library_path(self):
        name = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        return dict(self.env, **{name: self.lib})

    def test_pkg_config_shared_builds_and_answers(self):
        program = self.build("pc_shared", *self.pkg_config("--cflags", "--libs"))
        if sys.platform.startswith("linux"):
            assert "libperegrine.so.0" in run("readelf", "-d", program), "not linked with the shared library"
        self.serve(program, env=self.with_library_path())

    def test_pkg_config_shared_asks_for_nothing_private(self):
        flags = self.pkg_config("--libs")
        assert [flag for flag in flags if flag.startswith("-l")] == ["-lperegrine"], flags

    def test_pkg_config_static_builds_and_answers(self):
        """A program without any shared library at all, from what pkg-config --static says."""
        if not sys.platform.startswith("linux"):
            return "fully static programs are a matter of Linux"
        program = self.build("pc_static", "-static", *self.pkg_config("--static", "--cflags", "--libs"),
                             "-Wno-error")
        assert "NEEDED" not in run("readelf", "-d", program)
        self.serve(program)
        return None

    def test_pkg_config_version_is_the_headers(self):
        assert self.pkg_config("--modversion") == [self.version]

    def test_find_package_builds_and_answers(self):
        folder = os.path.join(self.work, "outside")
        os.mkdir(folder)
        shutil.copy(self.source, folder)
        with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="ascii") as file:
            file.write(CMAKE_LISTS.format(version=".".join(self.version.split(".")[:2])))
        run(self.args.cmake, "-S", folder, "-B", folder + "/build", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_C_COMPILER={shlex.split(self.args.cc)[0]}", env=self.env)
        run(self.args.cmake, "--build", folder + "/build")
        self.serve(folder + "/build/outside_shared")
        self.serve(folder + "/build/outside_static")
        if sys.platform.startswith("linux"):
            assert "libperegrine" in run("readelf", "-d", folder + "/build/outside_shared")
            assert "libperegrine" not in run("readelf", "-d", folder + "/build/outside_static")

    def test_find_package_refuses_another_version(self):
        folder = os.path.join(self.work, "wrong")
        os.mkdir(folder)
        with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="ascii") as file:
            file.write("cmake_minimum_required(VERSION 3.20)\nproject(wrong LANGUAGES C)\nfind_package(Peregrine 99.0 REQUIRED)\n")
        done = subprocess.run([self.args.cmake, "-S", folder, "-B", folder + "/build", f"-DCMAKE_PREFIX_PATH={self.prefix}"],
                              capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode != 0 and "99.0" in done.stderr, done.stderr

    def test_program_answers(self):
        if not sys.platform.startswith("linux") and not os.path.exists(os.path.join(self.prefix, "bin", "peregrine")):
            return "the program was not built: it needs libcyaml"
        self.serve(self.find("peregrine"), "--port", "0", "--welcome", pattern=r"address +http://\S+?:(\d+)", expected=None)
        return None

    def test_units_manual_and_example_are_installed(self):
        if not sys.platform.startswith("linux"):
            return "units are a matter of systemd"
        with open(self.find("peregrine.service"), encoding="ascii") as file:
            start = re.search(r"^ExecStart=(\S+)", file.read(), re.MULTILINE).group(1)
        assert start == os.path.join(self.work, "first", "bin", "peregrine"), start
        for name in ("peregrine.socket", "peregrine.yaml"):
            self.find(name)
        if not shutil.which("scdoc"):
            return "scdoc is not installed: no manual pages"
        for name in ("man1/peregrine.1", "man5/peregrine.yaml.5"):
            assert self.find(os.path.basename(name)).endswith(name), name
        return None

    def test_shared_library_exports_public_names_only(self):
        if sys.platform == "darwin":
            return "nm -D is a matter of ELF"
        exported = [line.split()[-1] for line in run("nm", "-D", "--defined-only", self.find("libperegrine.so")).splitlines()]
        odd = [name for name in exported if not re.match(r"per_[a-z]", name)]
        assert not odd, f"exported: {odd}"
        assert "per_server_run" in exported and "per_reply" in exported, exported
        return None

    def test_shared_library_exports_every_public_function(self):
        """Every function that a public header declares can be linked."""
        if sys.platform == "darwin":
            return "nm -D is a matter of ELF"
        declared = set()
        include = os.path.dirname(self.find("peregrine.h"))
        for name in os.listdir(include):
            with open(os.path.join(include, name), encoding="ascii") as file:
                declared |= set(re.findall(r"^PER_API [^;{}]*?\b(per_\w+)\(", file.read(), re.MULTILINE))
        exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", self.find("libperegrine.so")).splitlines()}
        assert len(declared) > 20, f"only {len(declared)} declarations found"
        assert declared <= exported, f"declared but not exported: {sorted(declared - exported)}"
        return None

    def test_shared_library_soname_has_the_major_version(self):
        if sys.platform == "darwin":
            return "SONAME is a matter of ELF"
        soname = re.search(r"SONAME\).*\[(.*)\]", run("readelf", "-d", self.find("libperegrine.so"))).group(1)
        assert soname == "libperegrine.so." + self.version.split(".", maxsplit=1)[0], soname
        self.find(soname)
        self.find("libperegrine.so." + self.version)
        return None

    def test_shared_library_forgets_the_build_folder(self):
        if not sys.platform.startswith("linux"):
            return "readelf is a matter of Linux"
        for name in ("libperegrine.so", "peregrine"):
            dynamic = run("readelf", "-d", self.find(name))
            assert "RUNPATH" not in dynamic and "RPATH" not in dynamic, dynamic
        return None

    def test_headers_serve_cpp(self):
        compiler = shutil.which("c++")
        if not compiler:
            return "no C++ compiler"
        source = os.path.join(self.work, "example.cpp")
        with open(source, "w", encoding="ascii") as file:
            file.write(CPP)
        program = self.build("cpp", *self.pkg_config("--cflags", "--libs"), source=source, compiler=[compiler, "-std=c++17"])
        run(program, env=self.with_library_path())
        return None

    def test_headers_stand_alone(self):
        """Each public header compiles by itself, strictly."""
        include = os.path.dirname(self.find("peregrine.h"))
        for name in sorted(os.listdir(include)):
            source = os.path.join(self.work, "alone.c")
            with open(source, "w", encoding="ascii") as file:
                file.write(f"#include <peregrine/{name}>\nint x;\n")
            run(*shlex.split(self.args.cc), "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                *self.pkg_config("--cflags"), source)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--build", required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--only", default="", help="a part of the names of the cases to run")
    args = parser.parse_args()
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as work:
        try:
            install = Install(args, work)
        except Exception:  # pylint: disable=broad-except  # whatever it was, it is the result
            print(f"FAIL install: {traceback.format_exc()}\n0 passed, 1 failed, 0 skipped")
            return 1
        for name in sorted(name for name in dir(install) if name.startswith("test_") and args.only in name):
            try:
                reason = getattr(install, name)()
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"FAIL {name}: {traceback.format_exc()}")
                continue
            passed, skipped = passed + (reason is None), skipped + (reason is not None)
            print(f"SKIP {name}: {reason}" if reason else f"ok   {name}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
