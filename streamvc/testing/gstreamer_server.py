"""GStreamer's RTSP server, with a moving test picture (320x240, 25 frames/s) for each camera. Run by a Python that has GStreamer's bindings.

    python gstreamer_server.py [--port PORT] [--login USER:PASSWORD] CAMERA...

Each camera is under its own name. Prints the port, then serves until it is killed.
"""
# mypy: ignore-errors

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 threads=1 ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def camera() -> GstRtspServer.RTSPMediaFactory:
    """A camera that all who watch share, for those who have logged in."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    return factory


def digest(login: str) -> GstRtspServer.RTSPAuth:
    """Asks for this login, `USER:PASSWORD`."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    user, _, password = login.partition(":")
    auth.add_digest(user, password, token)
    return auth


def main() -> None:
    """Serve what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cameras", nargs="+")
    parser.add_argument("--port", default="0")
    parser.add_argument("--login")
    arguments = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    if arguments.login:
        server.set_auth(digest(arguments.login))
    for name in arguments.cameras:
        server.get_mount_points().add_factory(f"/{name}", camera())
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main()
