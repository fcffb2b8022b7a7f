# SPDX-License-Identifier: MIT
# page.py - a made-up web page of 20 files, 3 to 300 KiB, with compressed siblings: the same bytes in every run. Text is made
# of words as frequent as in a language, so that it shrinks to a quarter or so, as real text does. Called by static.py.
import gzip
import os
import random
import subprocess

from harness import program_find

KIB = 1024
TEXT = {"index.html": 28, "css/main.css": 96, "css/theme.css": 24, "js/app.js": 300, "js/vendor.js": 240, "js/polyfills.js": 60,
        "js/analytics.js": 45, "img/logo.svg": 6, "img/icons.svg": 40, "manifest.json": 3}
PACKED = {"img/hero.jpg": 180, "img/photo1.jpg": 120, "img/photo2.jpg": 75, "img/photo3.jpg": 52, "img/photo4.jpg": 33,
          "img/avatar.png": 12, "img/sprite.png": 30, "img/favicon.png": 3, "font/text.woff2": 38, "font/bold.woff2": 22}
ENCODINGS = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}


def words_make(rng):
    """3,000 words, the first ones short."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    return ["".join(rng.choices(letters, weights=range(26, 0, -1), k=min(2 + rng.randrange(3 + number // 300), 14)))
            for number in range(3000)]


def text_make(rng, words, size):
    weights = [1 / (number + 3) for number in range(len(words))]
    text = []
    length = 0
    while length < size:
        for word in rng.choices(words, weights=weights, k=1000):
            text.append(word + rng.choice(("", "", ";", "{", "}", "=", "(", ")", "</", ">", "\n\t")))
            length += len(text[-1]) + 1
    return " ".join(text)[:size].encode()


def siblings_make(path, data):
    """The compressed siblings that this machine has tools for."""
    with open(path + ".gz", "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))
    for command in (["brotli", "-q", "11", "-k", path], ["zstd", "-q", "-19", "-k", path]):
        if program_find(command[0]):
            subprocess.run(command, check=True)


def page_make(folder):
    """Writes the files below folder; returns their paths as in URLs."""
    rng = random.Random(20)
    words = words_make(rng)
    for name, size in {**TEXT, **PACKED}.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = text_make(rng, words, size * KIB) if name in TEXT else rng.randbytes(size * KIB)
        with open(path, "wb") as file:
            file.write(data)
        if name in TEXT:
            siblings_make(path, data)
    return sorted("/" + name for name in {**TEXT, **PACKED})
