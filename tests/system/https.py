# SPDX-License-Identifier: MIT
"""An https server for test_image_fetch.py, run inside the world: python3 https.py DIRECTORY, with cert.pem in it. Ends
when its standard input does. Prints "ready PORT PROXY", then a line for each request: its path and range. At PROXY is an
http proxy that connects to anything."""
import contextlib
import http.server
import os
import socket
import ssl
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        print(self.path, self.headers.get("Range", "-"), flush=True)
        how, _, name = self.path[1:].partition("/")
        if how == "to":  # /to/URL
            self.send_response(302)
            self.send_header("Location", name)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if how == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:  # until the client has enough
                self.wfile.write(b"X-More: %s\r\n" % (b"x" * 4000))
        if how == "endless":  # /endless/MIB: so much, and the end does not come
            self.send_response(200)
            self.end_headers()
            for _ in range(int(name)):
                self.wfile.write(os.urandom(1 << 20))
            self.wait()
            return
        if not os.path.exists(name):
            self.send_error(404)
            return
        with open(name, "rb") as f:
            content = f.read()
        begin = 0
        if self.headers.get("Range") and how != "whole":
            begin = int(self.headers["Range"].split("=")[1].split("-")[0])
            self.send_response(206 if begin < len(content) else 416)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(content) - 1, len(content)))
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin:len(content) // 2] if how in ("cut", "stop") else content[begin:])
        self.wfile.flush()
        if how == "stop":
            self.wait()
        self.close_connection = True

    def wait(self):
        """Until the client leaves."""
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.rfile.read()


class Proxy(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        print("CONNECT", self.path, flush=True)
        host, port = self.path.split(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=copy, args=(self.connection, there), daemon=True).start()
            copy(there, self.connection)
        self.close_connection = True


def copy(a, b):
    with contextlib.suppress(OSError):
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)


def end_with_test():
    sys.stdin.read()
    os._exit(0)


os.chdir(sys.argv[1])
threading.Thread(target=end_with_test, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=proxy.serve_forever, daemon=True).start()
print("ready", server.server_port, proxy.server_port, flush=True)
server.serve_forever()
