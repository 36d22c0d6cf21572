"""An SSH server that does not name the signature algorithms it accepts (no extension `server-sig-algs`).

Usage: ssh_server.py HOST_KEY AUTHORIZED_KEY [DISABLED_ALGORITHM...]

Prints its port, serves one connection after another, and ends with its standard input. A login leads to an SFTP server with
an empty folder. Servers that are older than OpenSSH 7.2 behave like this one.
"""

import base64
import socket
import sys
import threading

import paramiko


class Login(paramiko.ServerInterface):
    def __init__(self, key: bytes) -> None:
        self.key = key

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_known = key.asbytes() == self.key
        return paramiko.AUTH_SUCCESSFUL if is_known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class EmptyFolder(paramiko.SFTPServerInterface):
    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes]:
        return []

    def stat(self, path: str) -> paramiko.SFTPAttributes:
        attributes = paramiko.SFTPAttributes()
        attributes.st_mode = 0o040755
        return attributes

    lstat = stat

    def canonicalize(self, path: str) -> str:
        return "/IN"


def serve(connection: socket.socket, host_key: paramiko.PKey, key: bytes, disabled: list[str]) -> None:
    transport = paramiko.Transport(
        connection, disabled_algorithms={"pubkeys": disabled}, server_sig_algs=False
    )
    transport.add_server_key(host_key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, EmptyFolder)
    try:
        transport.start_server(server=Login(key))
    except (paramiko.SSHException, EOFError):
        # The client has ended the connection.
        return
    # The transport closes the connection when it is collected.
    transport.join()


def main() -> None:
    host_key_file, authorized, *disabled = sys.argv[1:]
    host_key = paramiko.Ed25519Key.from_private_key_file(host_key_file)
    with open(authorized, encoding="ascii") as public:
        key = base64.b64decode(public.read().split()[1])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            arguments = (connection, host_key, key, disabled)
            threading.Thread(target=serve, args=arguments, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
