"""python/s3r.py: results equal those of the program, errors, ownership, threads."""

import array
import gc
import json
import math
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from support import CLIPS, ROOT, WithModels, program

import s3r


def samples(count=16000):
    """Some that are no silence."""
    return array.array("f", (math.sin(0.03 * i) * math.sin(0.001 * i) for i in range(count)))


def one(model, path, **options):
    """The result of one file."""
    [result] = model.transcribe(path, **options)
    return result


class Transcribing(WithModels):
    def check(self, result, line):
        """A Result against a line of the program's JSON."""
        expected = json.loads(line)
        self.assertEqual(result.status, s3r.Status.OK)
        self.assertEqual((result.path, result.text, result.mask, result.message),
                         (expected["path"], expected["text"], expected.get("mask"), ""))
        self.assertAlmostEqual(result.confidence, expected["confidence"], delta=1e-6)
        self.assertAlmostEqual(result.duration_s, expected["duration_s"], delta=1e-6)
        self.assertEqual(result.frame_count, expected["frames"])
        self.assertEqual(
            [(label.text, round(1000 * label.start, 3), round(1000 * label.end, 3),
              round(label.confidence, 6)) for label in result.labels],
            [(label["label"], label["start_ms"], label["end_ms"], label["confidence"])
             for label in expected["labels"]])
        self.assertEqual(
            [(word.text, round(1000 * word.start, 3), round(1000 * word.end, 3),
              round(word.confidence, 6), word.first_label, word.label_count)
             for word in result.words],
            [(word["word"], word["start_ms"], word["end_ms"], word["confidence"],
              word["first_label"], word["label_count"]) for word in expected["words"]])

    def test_numbers_of_the_program(self):
        for options, choice in (({}, []), ({"dtype": "bf16"}, ["--dtype", "bf16"]),
                                ({"mask": self.masks / "mask.s3m"},
                                 ["--mask", self.masks / "mask.s3m"])):
            lines = program("transcribe", "-m", self.tiny, "-f", "json", *choice, *CLIPS)
            with s3r.Model(self.tiny, **options) as model:
                results = list(model.transcribe(CLIPS, formats=["json", "srt"]))
            self.assertEqual([result.index for result in results], [0, 1, 2])
            self.assertEqual("".join(result.formats["json"] for result in results), lines)
            for result, line in zip(results, lines.splitlines()):
                self.assertTrue(result.labels and result.words)
                self.check(result, line)
                self.assertTrue(result.formats["srt"].startswith("1\n00:00:0"))

    def test_options(self):
        folder = self.work / "emissions"
        with s3r.Model(self.tiny) as model:
            [result] = model.transcribe(CLIPS[0], emissions_folder=folder, voice_only=True,
                                        window_s=1, context_s=0.1)
            self.assertTrue((folder / f"{CLIPS[0].stem}.npy").exists())
            [line] = program("transcribe", "-m", self.tiny, "-f", "json", "--vad", "--window",
                             1, "--context", 0.1, CLIPS[0]).splitlines()
            self.check(result, line)
            self.assertEqual([[round(1000 * edge, 3) for edge in segment[:2]]
                              for segment in result.segments],
                             [[segment["start_ms"], segment["end_ms"]]
                              for segment in json.loads(line)["segments"]])
            with self.assertRaisesRegex(TypeError, "some of window_s, .*found windows"):
                model.transcribe(CLIPS[0], windows=3)
            with self.assertRaisesRegex(ValueError, "expected some of txt, .*found 'doc'"):
                model.transcribe(CLIPS[0], formats="doc")
            with self.assertRaisesRegex(s3r.Error, "layer"):
                list(model.transcribe(CLIPS[0], layer=99, features_folder=folder))

    def test_a_file_that_fails(self):
        with s3r.Model(self.tiny) as model:
            results = list(model.transcribe([CLIPS[0], "nothing.wav", CLIPS[1]]))
        failed = next(result for result in results if result.index == 1)
        self.assertEqual(sorted(result.index for result in results), [0, 1, 2])
        self.assertEqual((failed.status, failed.words, failed.path),
                         (s3r.Status.DATA, [], "nothing.wav"))
        self.assertIn("nothing.wav: cannot open", failed.message)
        self.assertEqual([result.status for result in results].count(s3r.Status.OK), 2)

    def test_paths(self):
        odd = os.fsdecode(os.fsencode(self.work) + b"/x\xffy.g722")  # not UTF-8
        os.symlink(CLIPS[0], odd)
        with s3r.Model(self.tiny) as model:
            self.assertEqual(one(model, odd).path, odd)
            self.assertEqual(list(model.transcribe([])), [])
            with self.assertRaisesRegex(ValueError, "NUL"):
                model.transcribe("a\0b")

    def test_router(self):
        with s3r.Model(self.tiny) as model, s3r.Router(model, self.masks) as router:
            self.assertEqual([(mask.name, mask.method, mask.status) for mask in router.masks],
                             [(name, name, s3r.Status.OK)
                              for name in ("bias", "lora", "mask")])
            self.assertEqual(router.masks[1].path, str(self.masks / "lora.s3m"))
            results = list(router.transcribe([(CLIPS[0], "all"), (CLIPS[1], "lora"),
                                              (CLIPS[2], "lroa")]))
            lines = program("transcribe", "-m", self.tiny, "-M", self.masks, "-l", "all",
                            "-f", "json", CLIPS[0]).splitlines()
            for result, line in zip(results, lines):
                self.check(result, line)
            self.assertEqual([(result.index, result.part, result.part_count, result.mask)
                              for result in results[:4]],
                             [(0, 0, 3, "bias"), (0, 1, 3, "lora"), (0, 2, 3, "mask"),
                              (1, 0, 1, "lora")])
            self.assertEqual(results[4].status, s3r.Status.USAGE)
            self.assertIn('did you mean "lora"', results[4].message)
            [whole] = router.transcribe([(CLIPS[0], "lora")], by_segment=True)
            self.assertTrue(all(segment.mask == "lora" for segment in whole.segments))
            self.assertEqual(whole.mask, "lora" if whole.segments else "")
            lora = router["lora"]
            self.assertEqual(lora.info.method, "lora")
            self.assertEqual(one(lora, CLIPS[1]).words, results[3].words)
            self.assertEqual(one(model.open_mask(self.masks / "lora.s3m"), CLIPS[1]),
                             one(lora, CLIPS[1]))
            with self.assertRaisesRegex(s3r.Error, "no mask .* did you mean") as caught:
                router["lroa"]
            self.assertEqual(caught.exception.status, s3r.Status.USAGE)
        self.assertEqual(len(s3r.Router(None, self.masks).masks), 3)

    def test_example(self):
        example = [sys.executable, ROOT / "python/example.py"]
        found = subprocess.run([*example, self.tiny, CLIPS[0], "nothing.wav"],
                               capture_output=True, text=True)
        self.assertEqual(found.returncode, 6, found.stderr)
        text = program("transcribe", "-m", self.tiny, CLIPS[0]).strip()
        self.assertTrue(found.stdout.startswith(f"{CLIPS[0]}\t{text}\n"), found.stdout)
        self.assertIn("nothing.wav: cannot open", found.stderr)
        mask = self.masks / "mask.s3m"
        found = subprocess.run([*example, self.tiny, mask, CLIPS[0]], capture_output=True,
                               text=True)
        self.assertEqual(found.returncode, 0, found.stderr)
        text = program("transcribe", "-m", self.tiny, "--mask", mask, CLIPS[0]).strip()
        self.assertTrue(found.stdout.startswith(f"{CLIPS[0]}\t{text}\n"), found.stdout)


class Models(WithModels):
    def test_info(self):
        expected = json.loads(program("inspect", "--json", self.tiny))
        with s3r.Model(self.tiny) as model:
            self.assertEqual(model.hash, expected["hash"])
            self.assertEqual((model.info.path, model.info.family, model.info.sample_rate_hz),
                             (str(self.tiny), "wav2vec2", 16000))
            self.assertIsNone(model.info.mask_path)
            self.assertEqual(len(model.labels), model.info.label_count)
            masked = model.open_mask(self.masks / "mask.s3m")
            self.assertEqual((masked.info.method, masked.hash), ("mask", model.hash))
            self.assertGreater(masked.info.removed_elements, 0)
            self.assertEqual(len(masked.labels), 20)

    def test_forward(self):
        with s3r.Model(self.tiny, context=s3r.Context(threads=1)) as model:
            info, data = model.info, samples()
            log_probs, hidden = model.forward(data)
            frames = log_probs.shape[0]
            self.assertEqual(log_probs.shape, (frames, info.label_count))
            self.assertEqual(hidden.shape, (frames, info.hidden_size))
            for row in log_probs.tolist():
                self.assertAlmostEqual(sum(map(math.exp, row)), 1, places=5)
            same = model.forward(list(data)), model.forward(array.array("d", data))
            strided = model.forward(memoryview(array.array(
                "f", (x for value in data for x in (value, 0))))[::2])
            for other in (*same, strided):
                self.assertEqual(other, (log_probs, hidden))
            none = model.forward([])
            self.assertEqual(none.log_probs.shape, (0, info.label_count))
            self.assertEqual(none.hidden.tolist(), [])
            for wrong in (b"1234", array.array("h", [1, 2]), memoryview(data).cast("B").cast(
                    "f", (2, 8000))):
                with self.assertRaisesRegex(TypeError, "expected one row of float32"):
                    model.forward(wrong)
            with self.assertRaisesRegex(s3r.Error, "finite") as caught:
                model.forward([0.0, math.nan])
            self.assertEqual(caught.exception.status, s3r.Status.DATA)

    def test_forward_is_what_transcribe_writes(self):
        """Emissions of a WAV file are the log-probabilities of its samples."""
        path, count = self.work / "one.wav", 8000
        raw = (ROOT / "tests/data/audio/g722_patterns.s16").read_bytes()[:2 * count]
        path.write_bytes(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(raw), b"WAVE",
                                     b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", len(raw))
                         + raw)
        with s3r.Model(self.tiny) as model:
            one(model, path, emissions_folder=self.work)
            floats = [value / 32768 for value in array.array("h", raw)]
            written = (self.work / "one.npy").read_bytes()
            self.assertEqual(written[-4 * model.info.label_count:],
                             bytes(model.forward(floats).log_probs[-1:]))

    def test_errors(self):
        for make, status, message in (
                (lambda: s3r.Model(self.work / "nowhere"), s3r.Status.MODEL, "nowhere"),
                (lambda: s3r.Model(self.other, mask=self.masks / "mask.s3m"), s3r.Status.MODEL,
                 "made for another backbone"),
                (lambda: s3r.Model(self.other).open_mask(self.masks / "mask.s3m"),
                 s3r.Status.MODEL, "made for another backbone"),
                (lambda: s3r.Model(self.tiny, mask=self.masks / "mask.s3m", language="cs"),
                 s3r.Status.USAGE, "expected none"),
                (lambda: s3r.Router(None, self.work / "nowhere"), s3r.Status.USAGE, "nowhere"),
                (lambda: s3r.mask_info(CLIPS[0]), s3r.Status.MODEL, "vm-pls"),
                (lambda: s3r.Context(cpu="abacus"), s3r.Status.USAGE, "abacus")):
            with self.assertRaisesRegex(s3r.Error, message) as caught:
                make()
            self.assertEqual(caught.exception.status, status)
            copied = pickle.loads(pickle.dumps(caught.exception))
            self.assertEqual((copied.status, str(copied)), (status, str(caught.exception)))
        with self.assertRaisesRegex(ValueError, "expected 'f32' or 'bf16', found 'f16'"):
            s3r.Model(self.tiny, dtype="f16")
        with self.assertRaisesRegex(ValueError, "expected one of auto, shared, packed, found 1"):
            s3r.Model(self.tiny, weights=1)
        with self.assertRaisesRegex(s3r.Error, "expected a router with a backbone") as caught:
            list(s3r.Router(None, self.masks).transcribe([(CLIPS[0], "lora")]))
        self.assertEqual(caught.exception.status, s3r.Status.USAGE)

    def test_memory_of_weights(self):
        floats, heard = array.array("f", [0.01 * (i % 37) for i in range(8000)]), set()
        for weights in ("auto", "shared", "packed"):
            with s3r.Model(self.tiny, weights=weights) as model:
                before = model.info.prepared_bytes
                heard |= {bytes(model.forward(floats).hidden) for _ in range(2)}
                grown = model.info.prepared_bytes > before
                self.assertEqual(grown, weights == "packed")
        self.assertEqual(len(heard), 1)

    def test_none_is_no_path(self):
        with s3r.Model(self.tiny) as model, s3r.Router(model, self.masks) as router:
            for make in (lambda: list(router.transcribe([(CLIPS[0], None)])),
                         lambda: list(router.transcribe([(None, "lora")])),
                         lambda: router[None],
                         lambda: s3r.Router(model, None),
                         lambda: list(model.transcribe([None])),
                         lambda: model.open_mask(None),
                         lambda: s3r.mask_info(None)):
                with self.assertRaises(TypeError):
                    make()

    def test_mask_info(self):
        info = s3r.mask_info(self.masks / "mask.s3m")
        self.assertEqual((info["label_count"], info["path"]),
                         (20, str(self.masks / "mask.s3m")))


class Ownership(WithModels):
    def count_closed(self, *objects):
        """A list that gets the position of each object whose handle was closed."""
        closed = []
        for number, one in enumerate(objects):
            weakref.finalize(one._handle, closed.append, number)
        return closed

    def test_what_needs_it_keeps_it_open(self):
        model = s3r.Model(self.tiny)
        router = s3r.Router(model, self.masks)
        lora = router["lora"]
        closed = self.count_closed(model, router, lora)
        text = one(lora, CLIPS[0]).text
        for what in (model, router, model, router):
            what.close()
        self.assertEqual(closed, [])
        self.assertEqual(one(lora, CLIPS[0]).text, text)
        for use in (lambda: model.info, lambda: router.masks, lambda: router["lora"],
                    lambda: model.transcribe(CLIPS[0])):
            with self.assertRaisesRegex(ValueError, "(Model|Router): closed"):
                use()
        lora.close()
        self.assertEqual(closed, [2, 1, 0])

    def test_cycles_are_closed_in_order(self):
        """The collector clears a cycle in any order; a backbone still goes last."""
        model = s3r.Model(self.tiny)
        model.masks = [model.open_mask(self.masks / f"{name}.s3m")
                       for name in ("mask", "bias")]
        model.masks[0].backbone = model
        closed = self.count_closed(model, *model.masks)
        with self.assertRaises(s3r.Error):  # which holds nothing
            list(model.transcribe(CLIPS[0], window_s=0))
        del model
        gc.collect()
        self.assertEqual(sorted(closed), [0, 1, 2])
        self.assertEqual(closed[-1], 0)

    def test_closing_during_a_call(self):
        context = s3r.Context(threads=1)
        model = s3r.Model(self.tiny, context=context)
        closed, count = self.count_closed(model), 0
        for _ in model.transcribe(CLIPS):
            model.close()
            context.close()
            self.assertEqual(closed, [])
            count += 1
        gc.collect()
        self.assertEqual((count, closed), (3, [0]))
        with self.assertRaisesRegex(ValueError, "Context: closed"):
            s3r.Model(self.tiny, context=context)

    def files_done(self, folder, run):
        """How many of the files of a run that ends itself were done."""
        folder = self.work / folder
        run([self.links(number) for number in range(9)],
            {"emissions_folder": folder, "batch_s": 0.01})
        return len(list(folder.iterdir()))

    def links(self, number):
        path = self.work / f"{number}.g722"
        if not path.exists():
            path.symlink_to(CLIPS[0])
        return path

    def test_leaving_ends_the_run(self):
        class Stop(Exception):
            pass

        def stop(*_):
            raise Stop("enough")

        def leave(paths, options):
            for result in model.transcribe(paths, **options):
                break
            self.assertEqual(result.index, 0)

        def raise_in_loop(paths, options):
            with self.assertRaisesRegex(Stop, "enough"):
                for _ in router.transcribe([(path, "lora") for path in paths], **options):
                    stop()

        def raise_in_progress(paths, options):
            with self.assertRaisesRegex(Stop, "enough"):
                list(model.transcribe(paths, on_progress=stop, **options))

        with s3r.Model(self.tiny) as model, s3r.Router(model, self.masks) as router:
            self.assertEqual(self.files_done("all", lambda paths, options: list(
                model.transcribe(paths, **options))), 9)
            for run in (leave, raise_in_loop, raise_in_progress):
                self.assertLess(self.files_done(run.__name__, run), 9, run.__name__)
            self.assertEqual(threading.active_count(), 1)

    def test_what_a_callback_raises_comes_out(self):
        with s3r.Model(self.tiny) as model, \
                mock.patch.object(s3r, "_read_result", side_effect=MemoryError("none")):
            with self.assertRaisesRegex(MemoryError, "none"):
                list(model.transcribe(CLIPS))

    def test_progress(self):
        seen = []
        with s3r.Model(self.tiny) as model:
            results = list(model.transcribe(CLIPS, on_progress=lambda *at: seen.append(at)))
        self.assertEqual(len(results), 3)
        self.assertEqual(seen[-1][0], seen[-1][1])

    def test_calls_within_a_run(self):
        with s3r.Model(self.tiny) as model:
            expected = one(model, CLIPS[0])
            found = [one(model, CLIPS[0]) for _ in model.transcribe(CLIPS)]
            self.assertEqual(found, [expected] * 3)

    def test_ctrl_c(self):
        """While the caller waits for results, of which there would be many more."""
        with s3r.Model(self.tiny, context=s3r.Context(threads=1)) as model:
            timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
            with self.assertRaises(KeyboardInterrupt):
                for result in model.transcribe(CLIPS * 500):
                    if result.index == 0:
                        timer.start()
            timer.join()
            self.assertEqual(threading.active_count(), 1)


class Threads(WithModels):
    def test_same_results_on_many_threads(self):
        with s3r.Model(self.tiny, context=s3r.Context(threads=1)) as model, \
                s3r.Router(model, self.masks) as router:
            def route(request):
                return next(router.transcribe([request]))

            def apply(request):
                return one(router[request[1]], request[0]).text

            work = [(clip, name) for clip in CLIPS for name in ("bias", "lora", "mask")] * 4
            expected = list(map(route, work))
            with ThreadPoolExecutor(8) as pool:
                self.assertEqual(list(pool.map(route, work)), expected)
                self.assertEqual(list(pool.map(apply, work)),
                                 [result.text for result in expected])
            self.assertLessEqual(len(model._context._idle), 9)

    def test_python_runs_during_a_call(self):
        """The interpreter lock is free: a thread that only counts goes on meanwhile.  A call
        without callbacks that kept the lock would stop it for the whole call."""
        with s3r.Model(self.tiny, context=s3r.Context(threads=1)) as model:
            ticks, ended = [], threading.Event()

            def tick():
                while not ended.wait(0.001):
                    ticks.append(time.monotonic())

            thread = threading.Thread(target=tick)
            thread.start()
            data = samples(16000 * 30)
            start = time.monotonic()
            model.forward(data)
            end = time.monotonic()
            ended.set()
            thread.join()
            within = [at for at in ticks if start + 0.1 * (end - start) < at
                      < end - 0.1 * (end - start)]
            self.assertGreater(len(within), 2, f"in {end - start:.3f} s")

    def test_after_a_fork(self):
        """The threads of a context stay with the parent; the child makes its own."""
        with s3r.Model(self.tiny, context=s3r.Context(threads=2)) as model:
            text = one(model, CLIPS[0]).text
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                os._exit(0 if one(model, CLIPS[0]).text == text else 1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(one(model, CLIPS[0]).text, text)


class Finding(unittest.TestCase):
    def run_import(self, library, folder=ROOT / "python"):
        environment = {**os.environ, "PYTHONPATH": str(folder), "S3R_LIBRARY": str(library)}
        return subprocess.run([sys.executable, "-c", "import s3r; print(s3r.library_path)"],
                              capture_output=True, text=True, env=environment)

    def test_environment(self):
        found = self.run_import(s3r.library_path)
        self.assertEqual(found.stdout.strip(), str(s3r.library_path), found.stderr)
        found = self.run_import("/nowhere/libs3r.so")
        self.assertRegex(found.stderr, "ImportError: libs3r: /nowhere/libs3r.so: cannot open")

    def test_installed(self):
        """An installation that was moved has the module, which finds its library."""
        with tempfile.TemporaryDirectory() as folder:
            environment = {name: value for name, value in os.environ.items()
                           if name != "DESTDIR"}
            subprocess.run(["cmake", "--install", os.environ["S3R_TOOLS"], "--prefix",
                            f"{folder}/first"], env=environment, check=True,
                           capture_output=True)
            os.rename(f"{folder}/first", f"{folder}/moved")
            found = self.run_import("", f"{folder}/moved/share/s3r/python")
            self.assertRegex(found.stdout, rf"^{folder}/moved/lib.*/libs3r\.so\.0\.1\n$",
                             found.stderr)

    def test_not_found(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / "python/s3r.py", folder)
            found = self.run_import("", Path(folder))
        if found.returncode == 0:
            self.skipTest("the system has a libs3r")
        self.assertRegex(found.stderr, r"ImportError: libs3r\.so\.0\.1: expected it in .*build/"
                         "release.*lib.* or where the system looks; .*set S3R_LIBRARY")


if __name__ == "__main__":
    unittest.main()
