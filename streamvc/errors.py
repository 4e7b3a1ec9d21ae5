"""What can go wrong, as a tree. The command line turns each into one line and exit code 1.

StreamvcError
├── SourceError      a camera, file or stream that cannot be opened, read, or was lost
│   └── AccessError  one that refuses the login
├── BundleError      a model bundle that is missing, damaged, or does not agree with itself
├── InferenceError   no runtime is installed, or a runtime refused a model
├── DataError        training or evaluation data that cannot be used
├── PublishError     an endpoint that cannot be bound, reached or spoken to
│   └── MessageError a message that cannot be published, as a value of it is not of its type
├── SinkError        a sink that cannot be used, or did not take what it was given
├── NodeError        a node's configuration that cannot be used, or a node that cannot run, be reached or be changed
└── ViewError        a picture or video that cannot be shown or written
"""


class StreamvcError(Exception):
    """Base of every error that streamvc raises on purpose. Its text is one line that says what to do."""


class SourceError(StreamvcError):
    """A camera, file or stream cannot be opened or read, or was lost."""


class AccessError(SourceError):
    """A camera or server refuses the user name or the password."""


class BundleError(StreamvcError):
    """A model bundle is missing, damaged, or does not agree with itself."""


class InferenceError(StreamvcError):
    """No inference runtime is installed, or a runtime refused a model."""


class DataError(StreamvcError):
    """Training or evaluation data cannot be used."""


class PublishError(StreamvcError):
    """An endpoint cannot be bound, reached or spoken to."""


class MessageError(PublishError):
    """A message cannot be published, as a value of it is not of its type."""


class SinkError(StreamvcError):
    """A sink cannot be used, or did not take what it was given."""


class NodeError(StreamvcError):
    """A node's configuration cannot be used, or a node cannot run, be reached or be changed. Of a configuration it names all faults, one a line."""


class ViewError(StreamvcError):
    """A picture or video cannot be shown or written."""
