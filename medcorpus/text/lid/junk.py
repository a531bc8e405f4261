"""Text that is no language, made from a seed: code, markup, base64, hex, measures, identifiers, punctuation.

The language identifier learns its class `zxx` from it and is measured on it with another seed. What each kind
is made of was written for this file; nothing is taken from real programs.
"""

import base64
import random
import re
import string
from collections.abc import Callable
from functools import partial

_NAMES = """
i j k n x y id key val tmp buf ptr len idx err node item data list self args name path type size count index
value result config options request response client server handler state event user token width height color
font margin padding display border click load init update render parse print test file read write open close
push pop get set add remove map filter sort max min sum str num array object string int float bool char void
const static public private class struct null none true false return export default module header body table
row cell div span href src img link style script button input select where from join group order limit
insert into values debug info warn error stdout stderr other section group output closed context digits elem
release machine system meth sig curr locale arg callback handle stream chunk line word char byte pos offset
size total last first next prev parent child root leaf tree graph edge vertex queue stack heap hash map table
field record schema query cursor commit branch merge diff patch build target source dest copy move delete
start stop begin end run exec call invoke bind attach detach lock thread process signal timer task job worker
model view template layout grid flex border shadow opacity overflow transition animation hover active focus
label title message text input form submit reset check select option radio field icon badge panel modal menu
nav sidebar footer content wrapper container main left right top bottom center auto hidden visible absolute
relative fixed block inline bold italic normal solid transparent white black red green blue
""".split()  # noqa: SIM905

# Forms are parted by ¦ or a new line: $a $b $c are names, $v $w expressions, $n a number, $$ a dollar sign.
_EXPRESSIONS = """
$v + $w¦$v - $w¦$v * $w¦$v / $w¦$v == $w¦$v != $w¦$v < $w¦$v >= $w¦$v && $w¦$v || $w¦$v & $w¦$v << $w¦$v % $w
$v and $w¦$v or $w¦$a($v, $w)¦$a($v)¦$a.$b($v)¦$a.$b($v, $w)¦$v[$w]¦$a[$n]¦$a->$b¦!$v¦[$v, $w]¦$a.$b¦$a.$b.$c
"""
_CODE = """
if ($v) { return $a; }¦} else if ($v) {¦for (int i = 0; i < $a; i++) {¦while $v:¦static int $a($b *$c) {
def $a($b, $c=None):¦    self.$a = $v¦from $a.$b import $c¦#include <$a/$b.h>¦#define $a $v¦return $v;¦$a = $v
    raise ${a}Error(f"{$b}")¦SELECT $a, $b FROM $c WHERE $a = $v;¦export $a=$${$b} && ./$c.sh --$a $b 2>&1
struct $a { unsigned $b; const char *$c; };¦@$a.$b¦print($v)¦assert $v, $w
if not $a:¦if $v is None:¦if not isinstance($a, $b):¦if isinstance($a, ($b, $c)):¦if $a in $b and not $c:¦elif $v:
for $a in $b:¦for $a, $b in $c.items():¦for $a in range($n):¦with $a.$b($v) as $c:¦try:  $a.$b()¦except ${a}Error as $b:
return $a¦return [$a for $a in $b if $v]¦return ($a, $b)¦return $a in self.$b¦return self.$a($v, $b=$w)¦yield $a, $b
$a, $b = $c¦$a = $b or $v¦$a = $b if $v else $c¦$a += $v¦lambda $a: $v¦class $a:¦class $a($b):¦del $a[$v]
raise ${a}Warning,¦'$a': '$b',¦"$a": $v,¦$a=$b, $c=$v)¦assert $a is not None and $b¦from $a import $b, $c
import $a.$b as $c¦print("$a", $b)
def $a(self):¦def $a(self, $b: $c) -> $a:¦self.$a.$b = $c¦@$a¦not $a and not $b:¦or $a == '$b' and $c:¦and $a.$b($v)
extern void $a (void);¦unsigned long $a,¦char* $a,¦template <class $a, class $b>¦int $a;¦public $a $b() throws $c {
let $a: $b = $v;¦fn $a(&self, $b: $c) -> $a {¦match $a {¦func ($a *$b) $c() error {¦foreach ($$a as $$b) {¦echo $$a;
"""
_SCRIPT = """
const $a = ($b) => $v;¦function $a($b) { var $c = $v; }¦$$('#$a .$b').$c({$a: $v});¦import { $a } from './$b';
document.getElementById('$a').addEventListener('$b', function(e) { $v; });¦.$a-$b { $c: ${n}px; }
#$a > li:hover{background:#$n url($b.png) no-repeat;margin:0 auto}¦$a.prototype.$b = function() {
@media (max-width: ${n}px) { .$a { display: none; } }¦window.$a=window.$a||[];$b.push({'$c':$v});
module.exports = { $a, $b };¦font-$a: $b; line-height: 1.$n em; text-align: $c;
$a-$b: $c;¦$a-$b:${n}px ${n}px¦.$a .$b, .$c{$a:$b}¦$a:not(.$b):$c {¦--$a-$b: var(--$c);¦@import url("$a/$b.css");
display: $a; position: $b; float: $c;¦$a{font-family:"$b",$c,sans-serif;color:#$n}¦if (typeof $a === "$b") return;
$a.$b = $a.$b || {};¦return $a ? $b : $c;¦var $a = this.$b, $c = $v;¦for (var $a in $b) {¦new $a($b).$c();
default: break;
"""
_MARKUP = """
<div class="$a $b" id="$c">¦<a href="/$a/$b.html"><img src="$c.png" /></a>¦</$a></$b>¦$a: {$b: $c}
{"$a": $n, "$b": "$c", "$c": [true, null]}¦<$a:$b xmlns:$c=$n>¦&$a;&nbsp;&$b;¦/usr/$a/$b/$c.so.$n
\\begin{$a} \\$b{$c} \\end{$a}¦C:\\$a\\$b\\$c.dll¦| $a | $b | $c |
"""
_UNITS = "mg ml kg g mmol/L mg/dL µg IU % cm mm bpm mmHg °C h x".split()  # noqa: SIM905
_HEADS = ["", "", *"Na K Hb pH WBC CRP BP HR n p CI OR SD".split()]  # noqa: SIM905
_ALPHABETS = ("ACGT", string.ascii_lowercase + "0123456789-_", "CNOH()=#123", string.ascii_uppercase)


def _name(chance: random.Random) -> str:
    parts = chance.choices(_NAMES, k=chance.choice((1, 1, 2, 3)))
    title = "".join(map(str.title, parts))
    return chance.choice((parts[0], "_".join(parts), "_".join(parts).upper(), title, parts[0] + title))


def _expression(chance: random.Random, depth: int) -> str:
    if depth and chance.random() < 0.7:
        return _filled(_EXPRESSIONS, chance, depth - 1)
    literals = (str(chance.randrange(1000)), f'"{_name(chance)}"', hex(chance.randrange(1 << 16)))
    return chance.choice((_name(chance), _name(chance), *literals))


def _filled(forms: str, chance: random.Random, depth: int = 2) -> str:
    """One of `forms` with its places filled."""
    form = string.Template(chance.choice(re.split("[¦\n]", forms.strip("\n"))))
    return form.substitute(
        {place: _name(chance) for place in "abc"} | {place: _expression(chance, depth) for place in "vw"},
        n=chance.randrange(2000),
    )


def _base64(chance: random.Random) -> str:
    return base64.b64encode(chance.randbytes(chance.randint(12, 90))).decode()


def _hex(chance: random.Random) -> str:
    text = chance.randbytes(chance.randint(4, 40)).hex()
    gap = chance.choice((0, 2, 4, 8))
    text = " ".join(text[i : i + gap] for i in range(0, len(text), gap)) if gap else text
    return text.upper() if chance.random() < 0.3 else text


def _measures(chance: random.Random) -> str:
    pieces = []
    for _ in range(chance.randint(1, 5)):
        number = f"{chance.uniform(0, 500):.{chance.randint(0, 2)}f}{chance.choice(('', ' '))}"
        pieces.append(f"{chance.choice(_HEADS)} {number}{chance.choice(_UNITS)}".strip())
    return chance.choice((", ", " ", "; ", " / ")).join(pieces)


def _strings(chance: random.Random) -> str:
    letters = chance.choice(_ALPHABETS)
    sizes = [chance.randint(5, 30) for _ in range(chance.randint(1, 3))]
    return " ".join("".join(chance.choices(letters, k=size)) for size in sizes)


def _punctuation(chance: random.Random) -> str:
    marks = "".join(chance.choices(string.punctuation + "•…–—«»→★■ ", k=chance.randint(3, 30)))
    return marks + chance.choice(string.ascii_lowercase) + marks[::-1]  # all marks: a rule decides it


JUNK: dict[str, Callable[[random.Random], str]] = {
    "code": partial(_filled, _CODE), "script": partial(_filled, _SCRIPT), "markup": partial(_filled, _MARKUP),
    "base64": _base64, "hex": _hex, "measures": _measures, "strings": _strings, "punctuation": _punctuation,
}  # fmt: skip
"""Kinds of junk and what makes one line of each."""
