# SPDX-License-Identifier: Apache-2.0
"""Documents quote programs that are built and run: a code block after `<!-- FILE [NAME] -->` is what stands between the
two `// [NAME]` lines of FILE, less their indent. With --fix the blocks are made so."""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).parent.parent
QUOTE = re.compile(r"<!-- (\S+) \[(\w+)\] -->\n```(\w*)\n(.*?)```\n", re.S)


def section(file, name):
    lines = (ROOT / file).read_text(encoding="utf-8").split("\n")
    marks = [n for n, line in enumerate(lines) if line.strip() in (f"// [{name}]", f"# [{name}]")]
    if len(marks) != 2:
        sys.exit(f"{file} has {len(marks)} lines [{name}], not 2")
    return textwrap.dedent("\n".join(lines[marks[0] + 1:marks[1]])).strip("\n") + "\n"


def main():
    quotes = wrong = 0
    for document in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]):
        text = document.read_text(encoding="utf-8")
        fixed = QUOTE.sub(lambda q: f"<!-- {q[1]} [{q[2]}] -->\n```{q[3]}\n{section(q[1], q[2])}```\n", text)
        quotes += len(QUOTE.findall(text))
        if fixed == text:
            continue
        if "--fix" in sys.argv:
            document.write_text(fixed, encoding="utf-8")
        else:
            wrong += 1
            print(f"{document.relative_to(ROOT)} quotes something else than stands there: tests/quotes_test.py --fix")
    print(f"{quotes} quotes")
    sys.exit(1 if wrong or quotes == 0 else 0)


main()
