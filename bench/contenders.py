# SPDX-License-Identifier: MIT
# contenders.py - how the servers of a comparison are started: a function(port) -> command for each, or None where the server
# is not installed. nginx and h2o are Debian's, tuned as their manuals say: one worker, no access log, no limit of requests
# per connection. Called by run.py, memory.py, static.py, tls.py.
import os
import subprocess

from harness import Failure, program_find

BIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "release", "bin")
CIPHER = "TLS_AES_256_GCM_SHA384"
BROTLI_MODULE = "/usr/lib/nginx/modules/ngx_http_brotli_static_module.so"

# Without the master there is one process, and SIGTERM ends it at once.
NGINX_CONF = """
{modules}
daemon off; master_process off; worker_processes 1; pid {folder}/nginx-{port}.pid; error_log stderr error;
events {{ worker_connections 8192; use epoll; }}
http {{
	access_log off; default_type application/octet-stream; sendfile on; tcp_nopush {nopush}; tcp_nodelay on;
	types {{
		text/html html; text/css css; text/javascript js; application/json json; image/svg+xml svg;
		image/png png; image/jpeg jpg; font/woff2 woff2; text/plain txt;
	}}
	keepalive_requests 1000000000; keepalive_timeout 75s; gzip off; {gzip_static} {brotli_static}
	{open_files}
	client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
	uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
	server {{
		listen 127.0.0.1:{port} backlog=4096{ssl_word}; root {root};
		{tls}
		{answers}
	}}
}}
"""
NGINX_OPEN_FILES = "open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;"
# Without a session cache tickets are what resumes, as with the others.
NGINX_TLS = """ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; ssl_session_cache off;
		ssl_session_tickets on; ssl_session_timeout 1h; ssl_conf_command Ciphersuites {cipher};"""

# neverbleed keeps the key in another process: safer, and slower per handshake.
H2O_CONF = """
{user}num-threads: 1
max-connections: 8192
pid-file: {folder}/h2o-{port}.pid
http1-request-timeout: 75
listen:
  host: 127.0.0.1
  port: {port}
{tls}hosts:
  default:
    paths:
      /:
        file.dir: {root}
        file.send-compressed: ON
"""
# h2o 2.2.5 takes a list of ciphers for TLS 1.2 only. The first of OpenSSL's for TLS 1.3 is the one that is wanted.
H2O_TLS = """  ssl:
    certificate-file: {cert}
    key-file: {key}
    minimum-version: TLSv1.3
    cipher-preference: server
    ocsp-update-interval: 0
    neverbleed: OFF
ssl-session-resumption:
  mode: ticket
"""


def certificate_make(folder):
    """(certificate, key): files of a self-signed ECDSA P-256 certificate for localhost."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise Failure(f"openssl makes no certificate: {run.stderr.strip()}")
    return cert, key


def program_or_none(name):
    program = program_find(name)
    if program is None:
        print(f"no {name} here: it is left out")
    return program


def file_write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def nginx(folder, root, tls=None, answers=None, open_files=True, compressed=False, nopush=True):
    """nginx that serves the files of root. tls: (certificate, key); answers: {path: text} that it knows by heart."""
    program = program_or_none("nginx")
    if program is None:
        return None
    has_brotli = compressed and os.path.exists(BROTLI_MODULE)
    values = {"folder": folder, "root": root, "ssl_word": " ssl" if tls else "",
              "modules": f"load_module {BROTLI_MODULE};" if has_brotli else "",
              "gzip_static": "gzip_static on; gzip_vary on;" if compressed else "",
              "brotli_static": "brotli_static on;" if has_brotli else "",
              "nopush": "on" if nopush else "off",
              "open_files": NGINX_OPEN_FILES if open_files else "",
              "tls": NGINX_TLS.format(cert=tls[0], key=tls[1], cipher=CIPHER) if tls else "",
              "answers": " ".join(f'location = {path} {{ default_type text/plain; return 200 "{text}"; }}'
                                  for path, text in (answers or {}).items())}

    def command(port):
        conf = file_write(folder, f"nginx-{port}.conf", NGINX_CONF.format(port=port, **values))
        return [program, "-p", folder, "-c", conf, "-e", "stderr"]

    return command


def h2o(folder, root, tls=None):
    """h2o that serves the files of root and their compressed siblings."""
    program = program_or_none("h2o")
    if program is None:
        return None
    text = H2O_TLS.format(cert=tls[0], key=tls[1]) if tls else ""
    user = "user: root\n" if os.geteuid() == 0 else ""

    def command(port):
        return [program, "-c", file_write(folder, f"h2o-{port}.conf",
                                          H2O_CONF.format(folder=folder, root=root, port=port, tls=text, user=user))]

    return command


def floor(folder, answers):
    """The server that parses nothing; answers: files with its answer, and with the one to a request that closes."""
    return lambda port: [os.path.join(folder, "floor"), str(port), *answers]


def arena(folder, backend, tls=None, workers=1):
    """Our example with answers from memory: /pipeline has 2 bytes, /bytes/N has N."""
    words = ["--tls-cert", tls[0], "--tls-key", tls[1]] if tls else []
    return lambda port: [os.path.join(folder, "arena"), "--port", str(port), "--workers", str(workers), "--stats",
                         "--backend", backend, *words]


def peregrine(folder, backend, root, tls=None):
    """Our program, serving the files of root."""
    words = ["--tls-cert", tls[0], "--tls-key", tls[1]] if tls else []
    return lambda port: [os.path.join(folder, "peregrine"), root, "--port", str(port), "--workers", "1",
                         "--backend", backend, *words]


def other(text):
    """(name, function) of a NAME=COMMAND from the command line; {port} in it is replaced."""
    name, _, command = text.partition("=")
    if not command:
        raise Failure(f"--cmd {text}: NAME=COMMAND is wanted")
    return name, lambda port: command.replace("{port}", str(port)).split()


def present(makers):
    """Without those that are None."""
    return {name: make for name, make in makers.items() if make is not None}
