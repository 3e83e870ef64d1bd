"""libs3r in Python: models, masks, routers (docs/python.md).

    import s3r

    with s3r.Model("path/to/backbone", mask="cs.s3m") as model:
        for result in model.transcribe(["one.flac", "two.flac"]):
            print(result.path, result.text or result.message)

One file that needs nothing but the standard library (Python 3.9) and libs3r.so.  It says
what the headers in include/s3r say, in Python's words: handles close themselves, errors are
exceptions, results are objects.  The library runs without the interpreter lock, so Python
threads compute at the same time; everything here may be used by any thread.

Structs and functions are declared a second time below; tests/python compares them with
the headers.
"""

import contextlib
import ctypes
import ctypes.util
import enum
import glob
import json
import os
import queue
import threading
import weakref
from array import array
from collections import namedtuple
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char, c_char_p, c_double,
                    c_float, c_int, c_size_t, c_uint32, c_void_p)
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple, Optional

__version__ = "0.1.0"
__all__ = ["LAYER_ALL", "LAYER_LAST", "Context", "Error", "Forward", "Label", "Mask", "Model",
           "ModelInfo", "Result", "Router", "Segment", "Status", "Word", "library_path",
           "mask_info"]

LAYER_LAST, LAYER_ALL = -1, -2  # of features


class Status(enum.IntEnum):
    """As in s3r/status.h; also the exit codes of the program."""
    OK = 0
    RUNTIME = 1
    USAGE = 2
    MODEL = 3
    DATA = 4
    RESOURCE = 5
    PARTIAL = 6
    DIVERGED = 7
    INTERRUPTED = 8


class Error(Exception):
    """The library's error: status, and a message that names the file, the thing, what was
    expected and what was found."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = Status(status)

    def __reduce__(self):  # so that it can go from process to process
        return Error, (self.status, str(self))


# The interface in C, in the order of the headers; _NAME here is s3r_NAME there.

class _error(Structure):
    _fields_ = [("code", c_int), ("message", c_char * 8192)]


class _context_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("thread_count", c_size_t), ("cpu_level", c_char_p)]


_WEIGHTS = ("auto", "shared", "packed")  # s3r_weights_memory


class _model_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("is_bf16", c_bool), ("language", c_char_p),
                ("mask_path", c_char_p), ("weights", c_int)]


class _model_info(Structure):
    _fields_ = [
        ("path", c_char_p), ("format", c_char_p), ("family", c_char_p),
        ("architecture", c_char_p), ("license", c_char_p), ("is_fairseq", c_bool),
        ("conv_layers", c_size_t), ("hidden_size", c_size_t), ("ffn_size", c_size_t),
        ("blocks", c_size_t), ("heads", c_size_t), ("is_pre_norm", c_bool),
        ("has_layer_norm_extractor", c_bool), ("normalizes_input", c_bool),
        ("layer_norm_eps", c_double), ("sample_rate_hz", c_uint32),
        ("receptive_field", c_size_t), ("frame_stride", c_size_t), ("task", c_char_p),
        ("has_head", c_bool), ("label_count", c_size_t), ("has_vocabulary", c_bool),
        ("language_count", c_size_t), ("blank_id", c_size_t), ("tensor_count", c_size_t),
        ("parameter_count", c_size_t),
        ("encoder_parameter_count", c_size_t), ("stored_bytes", c_size_t),
        ("prepared_bytes", c_size_t), ("mask_path", c_char_p), ("method", c_char_p),
        ("mask_language", c_char_p), ("masked_elements", c_size_t),
        ("removed_elements", c_size_t)]


class _label(Structure):
    _fields_ = [("text", c_char_p), ("id", c_size_t), ("start_frame", c_size_t),
                ("end_frame", c_size_t), ("confidence", c_float)]


class _word(Structure):
    _fields_ = [("text", c_char_p), ("first_label", c_size_t), ("label_count", c_size_t),
                ("start_frame", c_size_t), ("end_frame", c_size_t), ("confidence", c_float),
                ("score", c_float), ("is_doubtful", c_bool)]


class _segment(Structure):
    _fields_ = [("start_s", c_double), ("end_s", c_double), ("mask", c_char_p)]


class _result(Structure):
    _fields_ = [
        ("index", c_size_t), ("path", c_char_p), ("part", c_size_t), ("part_count", c_size_t),
        ("mask", c_char_p), ("status", c_int), ("message", c_char_p), ("duration_s", c_double),
        ("frame_count", c_size_t), ("frame_s", c_double), ("text", c_char_p),
        ("labels", POINTER(_label)), ("label_count", c_size_t), ("confidence", c_double),
        ("words", POINTER(_word)), ("word_count", c_size_t), ("name", c_char_p),
        ("is_aligned", c_bool), ("segments", POINTER(_segment)), ("segment_count", c_size_t),
        ("hypotheses", c_void_p), ("hypothesis_count", c_size_t), ("languages", c_void_p),
        ("language_count", c_size_t), ("is_other_language", c_bool), ("id", c_char_p)]


_result_fn = CFUNCTYPE(c_int, c_void_p, POINTER(_result))
_progress_fn = CFUNCTYPE(c_bool, c_void_p, c_double, c_double)


class _transcribe_options(Structure):
    _fields_ = [
        ("struct_size", c_size_t), ("window_s", c_double), ("context_s", c_double),
        ("batch_s", c_double), ("raw_rate_hz", c_uint32), ("allow_ffmpeg", c_bool),
        ("emissions_folder", c_char_p), ("features_folder", c_char_p), ("decoder", c_void_p),
        ("layer", c_int), ("voice_only", c_bool), ("temperature", c_double),
        ("progress", _progress_fn), ("progress_context", c_void_p)]


class _router_mask(Structure):
    _fields_ = [("name", c_char_p), ("path", c_char_p), ("language", c_char_p),
                ("method", c_char_p), ("task", c_char_p), ("status", c_int),
                ("message", c_char_p)]


class _router_request(Structure):
    _fields_ = [("path", c_char_p), ("masks", c_char_p), ("by_segment", c_bool)]


_handle, _new_handle, _error_out = c_void_p, POINTER(c_void_p), POINTER(_error)
_FUNCTIONS = {  # name without s3r_: result, parameters
    "version": (c_char_p,),
    "context_options_init": (None, POINTER(_context_options)),
    "context_create": (c_int, _new_handle, POINTER(_context_options), _error_out),
    "context_destroy": (None, _handle),
    "context_threads": (c_size_t, _handle),
    "context_cpu_level": (c_char_p, _handle),
    "model_options_init": (None, POINTER(_model_options)),
    "model_open": (c_int, _new_handle, _handle, c_char_p, POINTER(_model_options), _error_out),
    "model_close": (None, _handle),
    "model_open_mask": (c_int, _new_handle, _handle, _handle, c_char_p, _error_out),
    "model_get_info": (None, _handle, POINTER(_model_info)),
    "model_label": (c_char_p, _handle, c_size_t),
    "model_get_hash": (c_int, _handle, c_char_p, _error_out),
    "transcribe_options_init": (None, POINTER(_transcribe_options)),
    "transcribe": (c_int, _handle, _handle, POINTER(c_char_p), c_size_t,
                   POINTER(_transcribe_options), _result_fn, c_void_p, _error_out),
    "forward": (c_int, _handle, _handle, c_void_p, c_size_t, POINTER(c_size_t), _new_handle,
                _new_handle, _error_out),
    "buffer_free": (None, c_void_p),
    "transcript_format_name": (c_char_p, c_size_t),
    "transcript_render": (c_int, POINTER(c_void_p), POINTER(_result), c_int, c_void_p,
                          _error_out),
    "text_free": (None, c_void_p),
    "router_open": (c_int, _new_handle, _handle, c_char_p, _error_out),
    "router_close": (None, _handle),
    "router_get_mask": (c_bool, _handle, c_size_t, POINTER(_router_mask)),
    "router_get_model": (c_int, _handle, _handle, c_char_p, _new_handle, _error_out),
    "router_transcribe": (c_int, _handle, _handle, POINTER(_router_request), c_size_t,
                          POINTER(_transcribe_options), _result_fn, c_void_p, _error_out),
    "mask_info": (c_int, POINTER(c_void_p), c_char_p, _error_out),
    "mask_info_free": (None, c_void_p),
}


# Finding the library.

_SONAME = "libs3r.so.0.1"


def _find_library():
    """$S3R_LIBRARY and nothing else when it is set; then the build folder of these sources,
    the installation that this file belongs to, and where the system looks."""
    wish = os.environ.get("S3R_LIBRARY")
    if wish:
        return wish
    here = os.path.dirname(os.path.realpath(__file__))
    prefix = os.path.normpath(os.path.join(here, "..", "..", ".."))  # share/s3r/python
    places = [os.path.join(os.path.dirname(here), "build", "release"),
              os.path.join(prefix, "lib*"), os.path.join(prefix, "lib", "*")]
    for place in places:
        for path in sorted(glob.glob(os.path.join(place, _SONAME))):
            return path
    found = ctypes.util.find_library("s3r")
    if not found:
        raise ImportError(f"{_SONAME}: expected it in {', '.join(places)} or where the system "
                          "looks; build it (make), or set S3R_LIBRARY to its path")
    return found


def _load_library():
    path = _find_library()
    try:
        library = ctypes.CDLL(path)
        functions = {name: getattr(library, f"s3r_{name}") for name in _FUNCTIONS}
    except (OSError, AttributeError) as error:
        raise ImportError(f"libs3r: {error}") from error
    for name, (result, *parameters) in _FUNCTIONS.items():
        functions[name].restype = result
        functions[name].argtypes = parameters
    found = functions["version"]().decode()
    if found.split(".")[:2] != __version__.split(".")[:2]:  # structs may differ
        raise ImportError(f"{path}: expected version {__version__}, found {found}")
    return path, SimpleNamespace(**functions)


library_path, _lib = _load_library()


# From Python to C and back.

def _text(value):
    return None if value is None else value.decode("utf-8", "replace")


def _path(value):
    """Bytes of a string or path for C."""
    encoded = os.fsencode(value)  # TypeError also for None
    if b"\0" in encoded:
        raise ValueError(f"{value!r}: expected no NUL character")
    return encoded


def _path_or_none(value):
    """The same where C takes NULL."""
    return None if value is None else _path(value)


def _from_struct(kind, struct):
    """A named tuple of the fields of a struct that have its names."""
    values = {name: getattr(struct, name) for name in kind._fields}
    for name, value in values.items():
        if isinstance(value, bytes):
            is_path = name in ("name", "path", "mask_path")
            values[name] = os.fsdecode(value) if is_path else _text(value)
        elif name == "status":
            values[name] = Status(value)
    return kind(**values)


def _as_list(values):
    """Of one string or path, or of several."""
    return [values] if isinstance(values, (str, bytes, os.PathLike)) else list(values)


def _call(function, *arguments):
    """Calls what returns a status and has the error as its last parameter."""
    error = _error()
    status = function(*arguments, byref(error))
    if status != Status.OK:
        raise Error(status, _text(error.message))


def _take_text(pointer, free):
    """A copy of a string of the library's, which is freed."""
    try:
        return _text(ctypes.string_at(pointer))
    finally:
        free(pointer)


def _release(release, pointer, needs):
    release(pointer)
    del needs  # only now they may go


class _Handle:
    """A handle of the library.  It is closed when nobody refers to it any more, neither an
    object, nor a call that is running, nor a handle that needs it.  What the process has
    open when it ends is left to the system."""

    def __init__(self, pointer, release, *needs):
        self.pointer = pointer.value
        weakref.finalize(self, _release, release, self.pointer, needs).atexit = False


class _Closable:
    """What has a handle: a context manager.  Closing twice is allowed."""

    _handle = None

    def close(self):
        """Lets the handle go.  Calls that are running finish first, and what was opened
        from it stays usable."""
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open_handle(self):
        handle = self._handle
        if handle is None:
            raise ValueError(f"{type(self).__name__}: closed")
        return handle


# The public classes.

class Context:
    """How calls compute.

    threads  that compute in a call, the caller included; 0 = one a processor.  Results do
             not depend on it.
    cpu      "auto", "portable", "avx2", "avx512", "avx512vnni", "avx512bf16";
             None = $S3R_CPU, else auto

    A context of the library serves one call at a time, so this is a set of them, one for
    each call that runs at the moment: any thread may use it at any time, and several calls
    at once have `threads` threads each.  After fork() the child makes its own.
    """

    def __init__(self, threads=0, cpu=None):
        self._options = _context_options()
        _lib.context_options_init(byref(self._options))
        self._options.thread_count = threads
        self._options.cpu_level = _path_or_none(cpu)
        self._idle, self._pid = [], os.getpid()  # append and pop are atomic
        first = self._create()
        self.threads = _lib.context_threads(first.pointer)
        self.cpu = _text(_lib.context_cpu_level(first.pointer))
        self._idle.append(first)

    def close(self):
        """Ends the threads that are idle now, the others after their call."""
        self._idle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _create(self):
        owner = os.getpid()

        def destroy(pointer):
            if os.getpid() == owner:  # threads do not survive a fork
                _lib.context_destroy(pointer)

        pointer = c_void_p()
        _call(_lib.context_create, byref(pointer), byref(self._options))
        return _Handle(pointer, destroy)

    @contextlib.contextmanager
    def _borrow(self):
        if self._pid != os.getpid():
            self._idle, self._pid = self._idle and [], os.getpid()
        idle = self._idle
        if idle is None:
            raise ValueError("Context: closed")
        try:
            handle = idle.pop()
        except IndexError:
            handle = self._create()
        try:
            yield handle.pointer
        finally:
            idle.append(handle)


_default_context = None


def _context_or_default(context):
    global _default_context
    if context is None:
        context = _default_context = _default_context or Context()
    return context


ModelInfo = namedtuple("ModelInfo", [name for name, _ in _model_info._fields_])
ModelInfo.__doc__ = "The fields of s3r_model_info (s3r/model.h)."
Mask = namedtuple("Mask", [name for name, _ in _router_mask._fields_])
Mask.__doc__ = "A mask file of a router: the fields of s3r_router_mask (s3r/router.h)."


class Label(NamedTuple):
    """A label of the text, blanks removed and repeats merged."""
    text: str
    id: int
    start: float  # seconds
    end: float
    confidence: float


class Word(NamedTuple):
    """Labels [first_label, first_label + label_count) of the result."""
    text: str
    start: float  # seconds
    end: float
    confidence: float
    first_label: int
    label_count: int


class Segment(NamedTuple):
    """A stretch of speech, in seconds."""
    start: float
    end: float
    mask: Optional[str]  # that its text is of; None but with by_segment


@dataclass(frozen=True)
class Result:
    """What became of a file, or of a file in one of its masks."""
    index: int      # of the file in the list
    path: str
    mask: Optional[str]  # its name; None without a router
    part: int       # of part_count: a file in several masks has several results
    part_count: int
    status: Status  # OK, or why this file failed
    message: str    # the error; "" when OK
    text: Optional[str]  # None when the file failed, or the model has no head
    confidence: float
    words: list     # of Word
    labels: list    # of Label
    segments: list  # of Segment, with voice_only or by_segment
    duration_s: float
    frame_count: int
    frame_s: float  # seconds from frame to frame
    formats: dict   # name -> text, of the formats that were asked for


class Forward(NamedTuple):
    """What the network makes of samples: float32, a row a frame (docs/python.md)."""
    log_probs: Optional[memoryview]  # [frames, labels]; None without a head
    hidden: memoryview               # [frames, hidden_size]


class Model(_Closable):
    """A pretrained model, with or without a mask.  Read-only: any thread may use it.

    path      Hugging Face folder or file; None, "default" or a name: a shipped one
    dtype     "f32", or "bf16": products in bf16
    mask      path of a mask file to apply
    language  of a multilingual (MMS) vocabulary; not with a mask
    context   a Context for all calls; None: one for the process, a thread a processor
    weights   their memory: "shared": the mapped file, with other processes; "packed": a
              copy in the form that products read, faster; "auto": packed after some passes
    """

    def __init__(self, path=None, dtype="f32", mask=None, language=None, context=None,
                 weights="auto"):
        if dtype not in ("f32", "bf16"):
            raise ValueError(f"dtype: expected 'f32' or 'bf16', found {dtype!r}")
        options, pointer = _model_options(), c_void_p()
        _lib.model_options_init(byref(options))
        options.is_bf16 = dtype == "bf16"
        if weights not in _WEIGHTS:
            raise ValueError(f"weights: expected one of {', '.join(_WEIGHTS)}, "
                             f"found {weights!r}")
        options.weights = _WEIGHTS.index(weights)
        options.language, options.mask_path = _path_or_none(language), _path_or_none(mask)
        self._context = _context_or_default(context)
        with self._context._borrow() as using:
            _call(_lib.model_open, byref(pointer), using, _path_or_none(path), byref(options))
        self._handle = _Handle(pointer, _lib.model_close)

    @classmethod
    def _of_handle(cls, handle, context):
        model = cls.__new__(cls)
        model._handle, model._context = handle, context
        return model

    def open_mask(self, path):
        """This backbone with a mask file: another Model, which shares the weights.  A mask
        that this one has plays no part."""
        backbone, pointer = self._open_handle(), c_void_p()
        with self._context._borrow() as using:
            _call(_lib.model_open_mask, byref(pointer), using, backbone.pointer, _path(path))
        return self._of_handle(_Handle(pointer, _lib.model_close, backbone), self._context)

    @property
    def info(self):
        """A ModelInfo."""
        handle, info = self._open_handle(), _model_info()
        _lib.model_get_info(handle.pointer, byref(info))
        return _from_struct(ModelInfo, info)

    @property
    def hash(self):
        """The content hash of the backbone, to which masks are pinned.  The first call
        reads the whole model."""
        handle, text = self._open_handle(), ctypes.create_string_buffer(65)
        _call(_lib.model_get_hash, handle.pointer, text)
        return text.value.decode()

    @property
    def labels(self):
        """The vocabulary: labels by row of the head; empty without one."""
        handle, labels = self._open_handle(), []
        while (label := _lib.model_label(handle.pointer, len(labels))) is not None:
            labels.append(_text(label))
        return labels

    def transcribe(self, paths, on_progress=None, formats=(), **options):
        """Transcribes a path or several ("-" is standard input): yields a Result a file, in
        the order in which files are done.  A file that fails does not raise: see
        Result.status.

        on_progress  called now and then with the seconds of audio done and to do
        formats      names (docs/transcription.md), which Result.formats gets: "srt", ...
        options      fields of s3r_transcribe_options (s3r/transcribe.h): window_s=20, ...

        The run begins with the first result that is asked for and waits while the caller
        has one; leaving the loop, or an exception in it or in on_progress, ends it.
        """
        handle, encoded = self._open_handle(), [_path(path) for path in _as_list(paths)]
        inputs = (c_char_p * len(encoded))(*encoded)

        def call(using, *rest):
            _call(_lib.transcribe, using, handle.pointer, inputs, len(inputs), *rest)

        return _run(self._context, call, on_progress, _format_numbers(formats),
                    _make_options(options))

    def forward(self, samples):
        """Runs the network on mono samples at the model's rate, before normalisation: a
        buffer of float32 or float64 (numpy's, array.array) or a sequence of floats."""
        handle, info, data = self._open_handle(), self.info, _samples(samples)
        frames, log_probs, hidden = c_size_t(), c_void_p(), c_void_p()
        with self._context._borrow() as using:
            _call(_lib.forward, using, handle.pointer, data.buffer_info()[0], len(data),
                  byref(frames), byref(log_probs), byref(hidden))
        try:
            return Forward(_rows(log_probs, frames.value, info.label_count)
                           if info.has_head else None,
                           _rows(hidden, frames.value, info.hidden_size))
        finally:
            _lib.buffer_free(log_probs)
            _lib.buffer_free(hidden)


class Router(_Closable):
    """The mask files (*.s3m) of a folder on one backbone (s3r/router.h).  Any thread may
    use it.

    router["cs"]  is the Model with a mask, by its name or language

    With model None the masks can be listed, no more.
    """

    def __init__(self, model, folder):
        backbone = model._open_handle() if model else None
        self._context, pointer = _context_or_default(model and model._context), c_void_p()
        _call(_lib.router_open, byref(pointer), backbone and backbone.pointer, _path(folder))
        self._handle = _Handle(pointer, _lib.router_close, backbone)

    @property
    def masks(self):
        """A list of Mask, by name.  One that cannot be read has a status and a message."""
        handle, mask, masks = self._open_handle(), _router_mask(), []
        while _lib.router_get_mask(handle.pointer, len(masks), byref(mask)):
            masks.append(_from_struct(Mask, mask))
        return masks

    def __getitem__(self, name):
        handle, pointer = self._open_handle(), c_void_p()
        with self._context._borrow() as using:
            _call(_lib.router_get_model, handle.pointer, using, _path(name), byref(pointer))
        return Model._of_handle(_Handle(pointer, lambda _: None, handle), self._context)

    def transcribe(self, requests, on_progress=None, formats=(), by_segment=False, **options):
        """Transcribes (path, masks) pairs; masks is "cs", "cs,nl", "all", "auto" or
        "auto:cs,nl".  Otherwise as Model.transcribe; results come by request and mask.
        by_segment: one result a request, each stretch of speech in its surest mask."""
        handle = self._open_handle()
        encoded = [(_path(path), _path(masks), by_segment) for path, masks in requests]
        inputs = (_router_request * len(encoded))(*encoded)

        def call(using, *rest):
            _call(_lib.router_transcribe, handle.pointer, using, inputs, len(inputs), *rest)

        return _run(self._context, call, on_progress, _format_numbers(formats),
                    _make_options(options))


def mask_info(path):
    """What a mask file says of itself, checked completely: a dict (s3r/mask_info.h)."""
    pointer = c_void_p()
    _call(_lib.mask_info, byref(pointer), _path(path))
    return json.loads(_take_text(pointer, _lib.mask_info_free))


# Samples, rows, results.

def _samples(samples):
    """As an array of float32."""
    try:
        view = memoryview(samples)
    except TypeError:
        return array("f", samples)
    kind = view.format.lstrip("@=<")
    if view.ndim != 1 or kind not in ("f", "d"):
        raise TypeError("samples: expected one row of float32 or float64, found "
                        f"{view.ndim} dimensions of format {view.format!r}")
    data = array(kind, view.tobytes())
    return data if kind == "f" else array("f", data)


def _rows(pointer, rows, columns):
    """A copy of a matrix of the library's."""
    size = 4 * rows * columns
    data = bytearray(ctypes.string_at(pointer, size) if rows else bytes(4 * columns))
    # A view cannot be cast to no rows, but it can be cut to that.
    return memoryview(data).cast("f", (max(rows, 1), columns))[:rows]


def _format_numbers(names):
    known, names = [], _as_list(names)
    while (name := _lib.transcript_format_name(len(known))) is not None:
        known.append(name.decode())
    for name in names:
        if name not in known:
            raise ValueError(f"formats: expected some of {', '.join(known)}, found {name!r}")
    return {name: known.index(name) for name in names}


def _read_result(pointer, formats):
    """A Result of what is valid during the callback only."""
    found = pointer.contents
    step, texts = found.frame_s, {}
    for name, number in formats.items():
        text = c_void_p()
        _call(_lib.transcript_render, byref(text), pointer, number, None)
        texts[name] = _take_text(text, _lib.text_free)
    return Result(
        index=found.index, path=os.fsdecode(found.path),
        mask=None if found.mask is None else os.fsdecode(found.mask), part=found.part,
        part_count=found.part_count, status=Status(found.status), message=_text(found.message),
        text=_text(found.text), confidence=found.confidence,
        words=[Word(_text(word.text), word.start_frame * step, word.end_frame * step,
                    word.confidence, word.first_label, word.label_count)
               for word in found.words[:found.word_count]],
        labels=[Label(_text(label.text), label.id, label.start_frame * step,
                      label.end_frame * step, label.confidence)
                for label in found.labels[:found.label_count]],
        segments=[Segment(segment.start_s, segment.end_s,
                          None if segment.mask is None else os.fsdecode(segment.mask))
                  for segment in found.segments[:found.segment_count]],
        duration_s=found.duration_s, frame_count=found.frame_count, frame_s=step,
        formats=texts)


def _make_options(given):
    options = _transcribe_options()
    _lib.transcribe_options_init(byref(options))
    known = {name: kind for name, kind in _transcribe_options._fields_
             if name not in ("struct_size", "decoder", "progress", "progress_context")}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"transcribe: expected some of {', '.join(known)}, found {name}")
        setattr(options, name, _path_or_none(value) if known[name] is c_char_p else value)
    return options


def _run(context, call, on_progress, formats, made):
    """Yields the results of call(context's handle, options, result function, NULL).

    The call has a thread of its own, which waits while the caller looks at what it was
    given: so Ctrl-C, an exception and a loop that is left end the run."""
    events, answered = queue.SimpleQueue(), threading.Semaphore(0)
    is_wanted = True

    def hand_over(kind, value):
        if is_wanted:
            events.put((kind, value))
            answered.acquire()
        return is_wanted

    @_result_fn
    def give_result(_, pointer):
        try:
            goes_on = hand_over("result", _read_result(pointer, formats))
        except BaseException as error:  # nothing may be raised through C
            goes_on = hand_over("end", error) and False
        return Status.OK if goes_on else Status.RUNTIME

    @_progress_fn
    def tell_progress(_, done_s, total_s):
        return hand_over("progress", (done_s, total_s)) if on_progress else is_wanted

    def work():
        try:
            with context._borrow() as using:
                call(using, byref(made), give_result, None)
            events.put(("end", None))
        except BaseException as error:
            events.put(("end", error))

    made.progress = tell_progress
    thread = threading.Thread(target=work, name="s3r", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = events.get()
            if kind == "result":
                yield value
            elif kind == "progress":
                on_progress(*value)
            elif value is None or isinstance(value, Error) and value.status == Status.PARTIAL:
                return
            else:
                raise value
            answered.release()
    finally:
        value, is_wanted = None, False  # an error must not hold itself, and so the handles
        answered.release()
        thread.join()
