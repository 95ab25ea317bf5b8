"""Variables of shell scripts: which values are certain, where they hold, and what is written with them."""

from __future__ import annotations

import pytest

from ftspec.read import commands


@pytest.mark.parametrize(
    ("script", "known"),
    [
        ("a $(date)", False),
        ("a `date`", False),
        ("a $X", False),
        ("X=1\nX=2\na $X", True),
        ('X=1\nX="$X 2"\na $X', True),
        ('X=1\nX+=" 2"\na $X', True),
        ("X=1\nif b; then\nX=2\nfi\na $X", False),  # which of the two holds is not looked for
        ("X=1\nb && X=2\na $X", False),
        ("X=1\nf() {\nX=2\n}\na $X", False),
        ("for i in 1 2; do\nX=$i\ndone\nX=3\na $X", False),
        ("X=$(b)\nX=2$X\na $X", False),
        ("for X in 1 2; do a $X; done", False),
        ("X=1\nfor X in 1 2; do a $X; done", False),
        ("X=1\nfor ((X=2; X<5; X++)); do a $X; done", False),
        ("X=1\n((X++))\na $X", False),
        ("X=1\nlet X+=3\na $X", False),
        ("X=1\nread -p 'which?' X\na $X", False),
        ("X=1\nmapfile -t X < f\na $X", False),
        ("X=1\nprintf -v X %s 2\na $X", False),
        ("X=1\nunset X\na $X", False),
        ("X=1\n(X=2)\na $X", False),
        ("[ $1 ] && X=1\na $X", False),
        ("test $1 || X=1\na $X", False),
        ("cd b && X=1\na $X", False),
        ("X=1; grep b c && X=2\na ${X:-3}", False),
        ("[[ $1 ]] && { Y=1; X=2; }\na $X", False),
        ("[[ $1 ]] && {\nY=${Y}\nX=2\n}\na $X", False),
        ("b && export Y=1 X=2\na $X", False),
        ("b &&\n  X=2\na $X", False),
        ("b && X=(2)\na ${X[@]}", False),
        ("b && c; X=2\na $X", True),
        ('if [ -n "$X" ]; then X=2; fi\na $X', False),
        ('[ -z "$X" ] && exit\nif b; then X=2; fi\na $X', False),
        ('if [ -z "$X" ]; then\necho b\nexport X=1\nfi\na $X', True),
        ('X=1; for X in 2 3; do [ -z "$X" ] && continue; a $X; done', False),
        ("for X in 1 2; do a ${X:-3}; done", False),
        ("if b; then X=1; fi\na ${X:-3}", False),
        ("if b; then\nX=1\nfi\na ${X:-3}", False),
        ("read X\na ${X:-3}", False),
        (": ${X:=1}\na ${X:-3}", False),
        ("while b; do case $1 in -x) X=$2; shift ;; esac; done\na ${X:-3}", False),
        ("X=${X:-3}\na $X", True),
        ("X=1\nwhile IFS=, read -r Y X; do a $X; done < f", False),
        ("X=1\nread -ra X <<< b\na $X", False),
        ("X=1; unset Y X\na ${X:-3}", False),
        ("X=1; let Y=2 X=3\na $X", False),
        ("X=(1 2)\nX[1]=3\na ${X[@]}", False),
        ('X=(1 2)\nunset "X[1]"\na ${X[@]}', False),
        ("if b; then\nX=1\nfi\na $X", False),
        ("if b; then\nX=1\na $X\nfi", True),
        ("if b; then\nX=1\nelse\na $X\nfi", False),
        ("if b; then X=1; fi\na $X", False),
        ("case $1 in\nb) X=1 ;;\nc)\na $X ;;\nesac", False),
        ("case $1 in\nb)\nX=1\na $X ;;\nesac", True),
        ('if [ -z "$X" ]; then\nX=1\nfi\na $X', True),
        ('[ -z "$X" ] && X=1\na $X', True),
        ('if b; then\nif [ -z "$X" ]; then\nX=1\nfi\nfi\na $X', False),
        ('if b; then\n[ -z "$X" ] && X=1\nfi\na $X', False),
        ("X=1\nf() {\na $X\n}\nX=2\nf", False),
        ("X=1\nf() { a $X; }\nX=2\nf", False),
        ("X=1\nf()\n{\na $X\n}\nX=2 f", False),
        ("X=(1)\nf() {\na ${X[@]}\n}\nX+=(2)\nf", False),
        ("f() {\na ${X:-1}\n}\nX=2\nf", False),
        ("X=1\nX=2\nf() {\na $X\n}\nf", True),
        ("f() {\nX=${X:-1}\na $X\n}\nf", True),
        ("f() {\nlocal X=1\na $X\n}\nf", True),
        ("f() {\nlocal X=1\n}\nf\na $X", False),
        ("f() {\nlocal X\nX=1\n}\nf\na $X", False),
        ("f() {\nlocal X=(1)\n}\nf\na ${X[@]}", False),
        ("(X=1)\na $X", False),
        ("b && (\ncd b\nX=1\n)\na $X", False),
        ("(\n(\nX=1\n)\na $X\n)", False),
        ("X=1\n(\nX+=2\n)\na $X", False),
        ("f() {\nX=1\n}\na $X\nf", False),
        ('if [ -z "$X" ]; then\nb && X=1\na $X\nfi', False),
        ("(X=1; a $X)", True),
        ("X+=1\na ${X:-2}", False),
        (': ${X:=1}\n[ -z "$X" ] && X=2\na $X', False),
        ("X=$((2*3))\na $X", True),
        ("a $((10#08))", False),
        ("a $((1_0))", False),
        ('X=1; eval "X=4"\na $X', False),
        ("X=1; . ./b.sh\na $X", False),
        ("source b.sh\na ${X:-1}", False),
        ('source b.sh\n[ -z "$X" ] && X=1\na $X', False),
        ("source b.sh\nX=1\na $X", True),
        ("#SBATCH --nodes=2\nsource b.sh\na $SLURM_NNODES", True),
        ("X=1; source b/bin/activate\na $X", True),
        ("X=1\na x$X", True),
        ("a '$X'", True),
    ],
)
def test_what_the_shell_makes_is_not_guessed(script: str, known: bool) -> None:
    found = (one.words for one in commands.read(script))
    command = next(one for one in found if "a" in [word.text for word in one])
    assert command[-1].known is known


@pytest.mark.parametrize("word", ["", "if b; then ", "for i in 1; do "])
def test_what_is_exported_behind_a_word_of_the_shell(word: str) -> None:
    (inside,) = (one for one in commands.read(f"{word}export X=1; a") if one.words[0].text == "a")
    assert inside.environ == {"X": "1"}


def test_a_branch_exports_nothing_behind_its_end() -> None:
    inside, behind = commands.read("if b; then\nexport X=1\na\nfi\nc")[-3::2]
    assert (inside.around.whole(), behind.around.whole()) == ({"X": "1"}, {"X": None})


@pytest.mark.parametrize("call", ["export X=2\nf", "X=2 f", "export X\nX=2\nf", "X=2\nf"])
def test_a_function_finds_what_is_exported_at_its_call(call: str) -> None:
    inside = next(
        one
        for one in commands.read(f"export X=1\nf() {{\na\n}}\n{call}")
        if one.words[0].text == "a"
    )
    assert inside.around.whole() == {"X": None}


def test_another_file_may_set_what_is_exported() -> None:
    assert commands.read("export X=1\nsource b.sh\na")[-1].around.whole() == {"X": None}


def test_what_is_exported_may_be_set_anew() -> None:
    assert commands.read("export X=1\nX=2\na")[-1].environ == {"X": "2"}


@pytest.mark.parametrize(
    ("script", "text", "known"),
    [
        ("cat > f <<EOF\na ${X:-1}\nEOF\nb\nX=2", "a 1", True),
        ("X=1\ncat > f <<EOF\na $X\nEOF\nX=2", "a 1", True),
        ("X=1\nX=2\ncat > f <<EOF\na $X\nEOF", "a 2", True),
        ("X=g\ncat > $X <<EOF\na\nEOF\nX=f\ncat > $X <<EOF\nb\nEOF", "b", True),
        ("for X in 1 2; do\ncat > f <<EOF\na ${X:-3}\nEOF\ndone", "", False),
        ("f() {\ncat > f <<EOF\na ${X:-3}\nEOF\n}\nX=2\nf", "", False),
        ("cat > f <<-EOF\n\ta\n\t\tb\n\tEOF\nc", "a\nb", True),
        ("cat > f <<EOF\na\n EOF\nb\nEOF\nc", "a\n EOF\nb", True),
        ("cat > f <<EOF\na\n EOF\nb\n", "a\n EOF\nb", True),
    ],
)
def test_a_file_gets_what_variables_are_where_it_is_written(
    script: str, text: str, known: bool
) -> None:
    made = commands.read_whole(script)[1]["f"]
    assert (made.text, made.open == ()) == (text, known)
