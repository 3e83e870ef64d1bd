"""The C interface as python/s3r.py declares it, against the headers: structs as the compiler
lays them out, and parameters of functions.  A header that changes fails here and does not
crash a program."""

import ctypes
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import ROOT

import s3r

INCLUDE = ROOT / "include"
HEADERS = {path.name: path.read_text() for path in sorted((INCLUDE / "s3r").glob("*.h"))}
STRUCTS = {f"s3r{name}": kind for name, kind in vars(s3r).items()
           if isinstance(kind, type) and issubclass(kind, ctypes.Structure)
           and kind is not ctypes.Structure}

PROGRAM = """
#include <stdio.h>
%s
#define KIND(x) _Generic((x), bool: "bool", float: "float", double: "double", int: "int", \\
    unsigned: "int", size_t: "size_t", default: "other")
#define FIELD(type, field) printf("%%s %%s %%zu %%zu %%s\\n", #type, #field, \\
    offsetof(type, field), sizeof ((type *)0)->field, KIND(((type *)0)->field))
int main(void)
{
%s
}
"""
KINDS = {ctypes.c_bool: "bool", ctypes.c_float: "float", ctypes.c_double: "double",
         ctypes.c_int: "int", ctypes.c_uint32: "int", ctypes.c_size_t: "size_t"}


def compiled(lines):
    """What a C program with these lines prints."""
    includes = "\n".join(f"#include <s3r/{name}>" for name in HEADERS)
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text(PROGRAM % (includes, "\n".join(lines)))
        done = subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-I", INCLUDE, source,
                               "-o", binary], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"the headers lack something: {done.stderr}")
        return subprocess.run([binary], capture_output=True, text=True, check=True).stdout


def code_of(header):
    return re.sub(r"/\*.*?\*/", "", HEADERS[header], flags=re.S)


def kind_of(declaration):
    """How C passes a parameter or a result: "const char *path" -> "pointer"."""
    words = declaration.replace("const", "").split()
    if "*" in declaration or "[" in declaration or words[0].endswith("_fn"):
        return "pointer"
    if words[0] in ("s3r_status", "int") or words[0].endswith("_format"):
        return "int"
    return words[0]


def kind_of_ctypes(kind):
    if kind is None:
        return "void"
    return KINDS.get(kind, "pointer")


class Layout(unittest.TestCase):
    def test_structs(self):
        lines, expected = [], []
        for name, kind in STRUCTS.items():
            lines.append(f'printf("%s %zu\\n", "{name}", sizeof({name}));')
            expected.append(f"{name} {ctypes.sizeof(kind)}")
            for field, of in kind._fields_:
                place = getattr(kind, field)
                lines.append(f"FIELD({name}, {field});")
                expected.append(f"{name} {field} {place.offset} {place.size} "
                                f"{KINDS.get(of, 'other')}")
        self.assertGreater(len(STRUCTS), 10)
        self.assertEqual(compiled(lines).splitlines(), expected)

    def test_no_field_is_missing(self):
        """One in the padding would change neither size nor offsets."""
        for name, kind in STRUCTS.items():
            pattern = re.compile(rf"typedef struct {name} \{{(.*?)\n\}}", re.S)
            body = next(found[1] for found in map(pattern.search, map(code_of, HEADERS))
                        if found)
            names = [re.search(r"(\w+)(\[\w+\])?$", part.strip())[1]
                     for line in body.split(";") if line.strip() for part in line.split(",")]
            self.assertEqual(names, [field for field, _ in kind._fields_], name)

    def test_numbers(self):
        names = [f"S3R_{'' if status == 0 else 'ERR_'}{status.name}" for status in s3r.Status]
        self.assertEqual(re.findall(r"\bS3R_(?:OK|ERR_\w+)(?= =)", code_of("status.h")), names)
        names += ["S3R_LAYER_LAST", "S3R_LAYER_ALL"]
        values = [int(status) for status in s3r.Status] + [s3r.LAYER_LAST, s3r.LAYER_ALL]
        found = compiled([f'printf("%d\\n", (int){name});' for name in names])
        self.assertEqual([int(line) for line in found.split()], values)
        sizes = compiled(['printf("%d %d\\n", S3R_HASH_HEX_BYTES, S3R_ERROR_MESSAGE_BYTES);'])
        self.assertEqual(sizes.split(), ["65", "8192"])

    def test_functions(self):
        declared = {}
        for header in HEADERS:
            for found in re.finditer(r"S3R_API\s+([\w\s*]+?)(s3r_\w+)\(([^;]*)\);",
                                     code_of(header)):
                result, name, parameters = found.groups()
                declared[name] = [kind_of(part) for part in [result, *parameters.split(",")]
                                  if part.strip() != "void" or part is result]
        for name, (result, *parameters) in s3r._FUNCTIONS.items():
            found = [kind_of_ctypes(kind) for kind in (result, *parameters)]
            self.assertEqual(found, declared[f"s3r_{name}"], name)

    def test_callbacks(self):
        text = " ".join(code_of("transcribe.h").split())
        self.assertIn("typedef s3r_status (*s3r_result_fn)(void *context, "
                      "const s3r_result *result);", text)
        self.assertIn("typedef bool (*s3r_progress_fn)(void *context, double done_s, "
                      "double total_s);", text)

    def test_version(self):
        self.assertEqual(s3r.__version__, s3r._lib.version().decode())


if __name__ == "__main__":
    unittest.main()
