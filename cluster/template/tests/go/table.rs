//! Templates and what Go's `text/template` (1.26) made of them, on the context of `main.rs`.
//!
//! The right side was printed by Go itself, with swarm's functions and `missingkey=error`; nothing in it is by hand.

/// A template, and its output or its error.
pub type Row = (&'static str, Result<&'static str, &'static str>);

/// Fields of a spec.
pub const FIELDS: &[Row] = &[
    ("plain", Ok("plain")),
    ("{{.Service.Name}}-{{.Task.Slot}}", Ok("web-1")),
    (
        "{{.Service.ID}} {{.Node.ID}} {{.Node.Hostname}} {{.Node.Platform.OS}}/{{.Node.Platform.Architecture}} {{.Task.ID}} {{.Task.Name}}",
        Ok("svcid nodeid host1 linux/x86_64 taskid web.1.taskid"),
    ),
    ("{{index .Service.Labels \"b.c\"}}", Ok("two")),
    ("{{index .Service.Labels \"missing\"}}|", Ok("|")),
    ("{{.Service.Labels.a}}", Ok("1")),
    (
        "{{.Service.Labels.missing}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.Labels.missing>: map has no entry for key \"missing\"",
        ),
    ),
    ("{{.Service.Labels}}", Ok("map[a:1 b.c:two z:]")),
    (
        "{{.}}",
        Ok(
            "{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}",
        ),
    ),
    (
        "{{$}}",
        Ok(
            "{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}",
        ),
    ),
    ("{{.Node}}", Ok("{nodeid host1 {x86_64 linux}}")),
    ("{{.Node.Platform}}", Ok("{x86_64 linux}")),
    (
        "{{.X}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "{{.Service.X}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.X>: can't evaluate field X in type struct { ID string; Name string; Labels map[string]string }",
        ),
    ),
    (
        "{{.Service.Name.X}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.Name.X>: can't evaluate field X in type string",
        ),
    ),
    (
        "{{.Service.Labels.a.b}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.Labels.a.b>: can't evaluate field b in type string",
        ),
    ),
    (
        "{{.Node.Platform.Foo}}",
        Err(
            "template: expansion:1:7: executing \"expansion\" at <.Node.Platform.Foo>: can't evaluate field Foo in type template.Platform",
        ),
    ),
    (
        "{{.Task.Labels}}",
        Err(
            "template: expansion:1:7: executing \"expansion\" at <.Task.Labels>: can't evaluate field Labels in type struct { ID string; Name string; Slot string }",
        ),
    ),
    ("{{$.Service.Name}}", Ok("web")),
    ("{{$x := .Service.Name}}{{$x}}", Ok("web")),
    ("{{$x := 1}}{{$x = 2}}{{$x}}", Ok("2")),
    (
        "{{$x = 2}}",
        Err("template: expansion:1:7: executing \"expansion\" at <2>: undefined variable: $x"),
    ),
    (
        "{{$y}}",
        Err("template: expansion:1: undefined variable \"$y\""),
    ),
    ("a {{- \" b \" -}} c", Ok("a b c")),
    ("a  {{- /* c */ -}}  c", Ok("ac")),
    ("a{{/* c */}}b", Ok("ab")),
    (
        "{{/* unclosed",
        Err("template: expansion:1: unclosed comment"),
    ),
    (
        "{{/* a */ }}",
        Err("template: expansion:1: comment ends before closing delimiter"),
    ),
    ("{{if true}}T{{end}}", Ok("T")),
    ("{{if .Service.Labels}}T{{else}}F{{end}}", Ok("T")),
    (
        "{{if \"\"}}T{{else if 0}}Z{{else if nil}}N{{else}}E{{end}}",
        Err("template: expansion:1:34: executing \"expansion\" at <nil>: nil is not a command"),
    ),
    ("{{if \"\"}}T{{else if 1}}Z{{else}}E{{end}}", Ok("Z")),
    (
        "{{with .Service}}{{.Name}}{{$.Task.ID}}{{end}}",
        Ok("webtaskid"),
    ),
    (
        "{{with \"\"}}a{{else with .Node}}{{.Hostname}}{{else}}c{{end}}",
        Ok("host1"),
    ),
    ("{{with $x := .Node}}{{$x.ID}}{{end}}", Ok("nodeid")),
    (
        "{{if $x := \"\"}}{{else}}{{print $x \"e\"}}{{end}}",
        Ok("e"),
    ),
    ("{{if 1}}{{$z := 1}}{{else}}{{$z}}{{end}}", Ok("")),
    (
        "{{if 0}}{{$z := 1}}{{else}}{{$z}}{{end}}",
        Err("template: expansion:1:29: executing \"expansion\" at <$z>: undefined variable: $z"),
    ),
    ("{{range .Service.Labels}}[{{.}}]{{end}}", Ok("[1][two][]")),
    (
        "{{range $v := .Service.Labels}}[{{$v}}]{{end}}",
        Ok("[1][two][]"),
    ),
    (
        "{{range $k, $v := .Service.Labels}}{{$k}}={{$v}};{{end}}",
        Ok("a=1;b.c=two;z=;"),
    ),
    (
        "{{range $k, $v := .Service.Labels}}{{if eq $k \"b.c\"}}{{break}}{{end}}{{$k}}{{end}}",
        Ok("a"),
    ),
    (
        "{{range $k, $v := .Service.Labels}}{{if eq $k \"b.c\"}}{{continue}}{{end}}{{$k}}{{end}}",
        Ok("az"),
    ),
    ("{{range 3}}{{.}}{{end}}", Ok("012")),
    ("{{range $i := 3}}{{$i}}{{else}}no{{end}}", Ok("012")),
    ("{{range 0}}{{.}}{{else}}no{{end}}", Ok("no")),
    (
        "{{range $i, $j := 3}}{{end}}",
        Err(
            "template: expansion:1:18: executing \"expansion\" at <3>: can't use 3 to iterate over more than one variable",
        ),
    ),
    (
        "{{range .Service.Name}}{{end}}",
        Err(
            "template: expansion:1:16: executing \"expansion\" at <.Service.Name>: range can't iterate over web",
        ),
    ),
    (
        "{{range true}}{{end}}",
        Err(
            "template: expansion:1:8: executing \"expansion\" at <true>: range can't iterate over true",
        ),
    ),
    (
        "{{range 1.5}}{{end}}",
        Err(
            "template: expansion:1:8: executing \"expansion\" at <1.5>: range can't iterate over 1.5",
        ),
    ),
    (
        "{{range .}}{{end}}",
        Err(
            "template: expansion:1:8: executing \"expansion\" at <.>: range can't iterate over {{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}",
        ),
    ),
    (
        "{{range .Node}}{{end}}",
        Err(
            "template: expansion:1:8: executing \"expansion\" at <.Node>: range can't iterate over {nodeid host1 {x86_64 linux}}",
        ),
    ),
    (
        "{{range nil}}{{end}}",
        Err("template: expansion:1:8: executing \"expansion\" at <nil>: nil is not a command"),
    ),
    (
        "{{range $i, 3}}{{end}}",
        Err("template: expansion:1: range can only initialize variables"),
    ),
    (
        "{{range $i, $j, $k := 3}}{{end}}",
        Err("template: expansion:1: too many declarations in range"),
    ),
    ("{{$i := 5}}{{range $i = 3}}{{end}}{{$i}}", Ok("2")),
    (
        "{{$i, $j := 5}}",
        Err("template: expansion:1: too many declarations in command"),
    ),
    (
        "{{break}}",
        Err("template: expansion:1: {{break}} outside {{range}}"),
    ),
    (
        "{{continue}}",
        Err("template: expansion:1: {{continue}} outside {{range}}"),
    ),
    (
        "{{range 3}}{{break 1}}{{end}}",
        Err("template: expansion:1: unexpected \"1\" in {{break}}"),
    ),
    (
        "{{define \"a\"}}<{{.}}>{{end}}{{template \"a\" .Service.Name}}",
        Ok("<web>"),
    ),
    (
        "{{define \"a\"}}<{{.}}>{{end}}{{template \"a\"}}",
        Ok("<<no value>>"),
    ),
    (
        "{{define \"a\"}}<{{.X}}>{{end}}{{template \"a\"}}",
        Err("template: expansion:1:17: executing \"a\" at <.X>: nil data; no entry for key \"X\""),
    ),
    (
        "{{define \"a\"}}<{{.X}}>{{end}}{{template \"a\" .Service}}",
        Err(
            "template: expansion:1:17: executing \"a\" at <.X>: can't evaluate field X in type struct { ID string; Name string; Labels map[string]string }",
        ),
    ),
    ("{{define \"a\"}}{{$}}{{end}}{{template \"a\" 3}}", Ok("3")),
    (
        "{{template \"a\"}}",
        Err(
            "template: expansion:1:11: executing \"expansion\" at <{{template \"a\"}}>: template \"a\" not defined",
        ),
    ),
    (
        "{{template \"a\" .X}}",
        Err(
            "template: expansion:1:11: executing \"expansion\" at <{{template \"a\" .X}}>: template \"a\" not defined",
        ),
    ),
    (
        "{{template a}}",
        Err("template: expansion:1: unexpected \"a\" in template clause"),
    ),
    (
        "{{template}}",
        Err("template: expansion:1: unexpected \"}}\" in template clause"),
    ),
    ("{{block \"b\" .Service.Name}}[{{.}}]{{end}}", Ok("[web]")),
    (
        "{{define \"b\"}}1{{end}}{{define \"b\"}}2{{end}}",
        Err("template: expansion:1: template: multiple definition of template \"b\""),
    ),
    (
        "{{define \"b\"}} {{end}}{{define \"b\"}}2{{end}}{{template \"b\"}}",
        Ok("2"),
    ),
    (
        "{{define \"b\"}}2{{end}}{{define \"b\"}} {{end}}{{template \"b\"}}",
        Ok("2"),
    ),
    ("{{define \"expansion\"}}main{{end}}", Ok("main")),
    (
        "{{define \"expansion\"}}main{{end}}x",
        Err("template: expansion:1: template: multiple definition of template \"expansion\""),
    ),
    (
        "{{define \"a\"}}{{else}}{{end}}",
        Err("template: expansion:1: unexpected {{else}} in define clause"),
    ),
    (
        "{{define a}}{{end}}",
        Err("template: expansion:1: unexpected \"a\" in define clause"),
    ),
    (
        "{{define \"a\"",
        Err("template: expansion:1: unclosed action"),
    ),
    (
        "{{define \"a\"}}",
        Err("template: expansion:1: unexpected EOF"),
    ),
    (
        "{{block \"a\"}}{{end}}",
        Err("template: expansion:1: missing value for block clause"),
    ),
    (
        "{{block \"a\" .}}{{else}}{{end}}",
        Err("template: expansion:1: unexpected {{else}} in block clause"),
    ),
    (
        "{{if}}{{end}}",
        Err("template: expansion:1: missing value for if"),
    ),
    (
        "{{if .X}}{{end}}",
        Err(
            "template: expansion:1:5: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    ("{{if 1}}", Err("template: expansion:1: unexpected EOF")),
    (
        "{{if 1}}{{else}}{{else}}{{end}}",
        Err("template: expansion:1: expected end; found {{else}}"),
    ),
    (
        "{{if 1}}{{else if}}{{end}}",
        Err("template: expansion:1: missing value for if"),
    ),
    (
        "{{if 1}}{{else with 1}}{{end}}",
        Err("template: expansion:1: unexpected <with> in input"),
    ),
    ("{{end}}", Err("template: expansion:1: unexpected {{end}}")),
    (
        "{{else}}",
        Err("template: expansion:1: unexpected {{else}}"),
    ),
    (
        "{{else if 1}}",
        Err("template: expansion:1: unexpected {{else}}"),
    ),
    (
        "{{end 1}}",
        Err("template: expansion:1: unexpected \"1\" in end"),
    ),
    ("{{", Err("template: expansion:1: unclosed action")),
    (
        "{{}}",
        Err("template: expansion:1: missing value for command"),
    ),
    (
        "{{ }}",
        Err("template: expansion:1: missing value for command"),
    ),
    (
        "{{|}}",
        Err("template: expansion:1: unexpected \"|\" in command"),
    ),
    (
        "{{.|}}",
        Ok(
            "{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}",
        ),
    ),
    (
        "{{1 | 2}}",
        Err("template: expansion:1: non executable command in pipeline stage 2"),
    ),
    (
        "{{1 | .Service}}",
        Err(
            "template: expansion:1:6: executing \"expansion\" at <.Service>: Service has arguments but cannot be invoked as function",
        ),
    ),
    (
        "{{1 | print | \"x\"}}",
        Err("template: expansion:1: non executable command in pipeline stage 3"),
    ),
    ("{{.Service.Name | printf \"%s-%s\" \"a\"}}", Ok("a-web")),
    ("{{\"x\" | printf \"%q\"}}", Ok("\"x\"")),
    ("{{(.Service).Name}}", Ok("web")),
    (
        "{{(index .Service.Labels \"a\").b}}",
        Err(
            "template: expansion:1:25: executing \"expansion\" at <\"a\">: can't evaluate field b in type string",
        ),
    ),
    (
        "{{(print 1) 2}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <(print 1) 2>: can't give argument to non-function print 1",
        ),
    ),
    (
        "{{3 | (print 1)}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <3>: can't give argument to non-function print 1",
        ),
    ),
    ("{{(1)}}", Ok("1")),
    ("{{(1}}", Err("template: expansion:1: unclosed left paren")),
    (
        "{{1)}}",
        Err("template: expansion:1: unexpected right paren"),
    ),
    (
        "{{\"a}}",
        Err("template: expansion:1: unterminated quoted string"),
    ),
    (
        "{{`a}}",
        Err("template: expansion:1: unterminated raw quoted string"),
    ),
    (
        "{{'a}}",
        Err("template: expansion:1: unterminated character constant"),
    ),
    ("{{'a'}}", Ok("97")),
    (
        "{{'ab'}}",
        Err("template: expansion:1: malformed character constant: 'ab'"),
    ),
    ("{{''}}", Err("template: expansion:1: invalid syntax")),
    ("{{'\\n'}}", Ok("10")),
    ("{{'\\x41'}} {{'\\u00e9'}} {{'世'}}", Ok("65 233 19990")),
    (
        "{{\"a\\tb\\x41\\101\\u00e9\\U0001F600\"}}",
        Ok("a\tbAAé\u{1f600}"),
    ),
    ("{{\"\\q\"}}", Err("template: expansion:1: invalid syntax")),
    ("{{\"\\'\"}}", Err("template: expansion:1: invalid syntax")),
    (
        "{{\"\\ud800\"}}",
        Err("template: expansion:1: invalid syntax"),
    ),
    ("{{`raw \\n \"x\"`}}", Ok("raw \\n \"x\"")),
    (
        "{{1}} {{-1}} {{+1}} {{0x10}} {{0b11}} {{0o17}} {{017}} {{1_000}} {{1.5}} {{1e3}} {{1e21}} {{1e20}} {{.5}} {{5.}} {{-0xE}} {{0xE}} {{1e-5}} {{0x1p4}} {{0.0001}} {{100000.0}} {{1000000.0}} {{123456789.0}} {{1e100}}",
        Ok(
            "1 -1 1 16 3 15 15 1000 1.5 1000 1e+21 1e+20 0.5 5 -14 14 1e-05 16 0.0001 100000 1e+06 1.23456789e+08 1e+100",
        ),
    ),
    (
        "{{089}}",
        Err("template: expansion:1: integer overflow: \"089\""),
    ),
    (
        "{{0x}}",
        Err("template: expansion:1: illegal number syntax: \"0x\""),
    ),
    (
        "{{1__0}}",
        Err("template: expansion:1: illegal number syntax: \"1__0\""),
    ),
    (
        "{{_1}}",
        Err("template: expansion:1: function \"_1\" not defined"),
    ),
    (
        "{{1a}}",
        Err("template: expansion:1: bad number syntax: \"1a\""),
    ),
    (
        "{{0b12}}",
        Err("template: expansion:1: bad number syntax: \"0b12\""),
    ),
    (
        "{{9223372036854775807}} {{-9223372036854775808}}",
        Ok("9223372036854775807 -9223372036854775808"),
    ),
    (
        "{{9223372036854775808}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <9223372036854775808>: 9223372036854775808 overflows int",
        ),
    ),
    (
        "{{99999999999999999999}}",
        Err("template: expansion:1: integer overflow: \"99999999999999999999\""),
    ),
    (
        "{{1e999}}",
        Err("template: expansion:1: illegal number syntax: \"1e999\""),
    ),
    (
        "{{1.5.2}}",
        Err("template: expansion:1: unexpected \".2\" in operand"),
    ),
    (
        "{{.}}{{.",
        Err("template: expansion:1: illegal number syntax: \".\""),
    ),
    ("{{1.}}", Ok("1")),
    ("{{true}} {{false}}", Ok("true false")),
    (
        "{{nil}}",
        Err("template: expansion:1:2: executing \"expansion\" at <nil>: nil is not a command"),
    ),
    (
        "{{nil | print}}",
        Err("template: expansion:1:2: executing \"expansion\" at <nil>: nil is not a command"),
    ),
    ("{{print nil}}", Ok("<nil>")),
    (
        "{{print 1 2 \"a\" \"b\" 3 true false 1.5}}",
        Ok("1 2ab3 true false 1.5"),
    ),
    ("{{println 1 2 \"a\" \"b\"}}", Ok("1 2 a b\n")),
    ("{{print}}|{{println}}|", Ok("|\n|")),
    ("{{print .Service.Labels}}", Ok("map[a:1 b.c:two z:]")),
    (
        "{{print .}}",
        Ok(
            "&{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}",
        ),
    ),
    (
        "{{print . .}}",
        Ok(
            "&{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}} &{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}",
        ),
    ),
    (
        "{{html \"<a href='x'>&\\\"</a>\"}}",
        Ok("&lt;a href=&#39;x&#39;&gt;&amp;&#34;&lt;/a&gt;"),
    ),
    (
        "{{html nil}} {{html 1 2}} {{html .Node}}",
        Ok("&lt;no value&gt; 1 2 {nodeid host1 {x86_64 linux}}"),
    ),
    (
        "{{js \"<a>'\\\"\\\\=&\\n\\té\\u200b\"}}",
        Ok("\\u003Ca\\u003E\\'\\\"\\\\\\u003D\\u0026\\u000A\\u0009é\\u200B"),
    ),
    (
        "{{urlquery \"a b&c=é/~-_.\"}}",
        Ok("a+b%26c%3D%C3%A9%2F~-_."),
    ),
    ("{{html}}{{js}}{{urlquery}}", Ok("")),
    (
        "{{and 1 0 2}} {{and 1 2}} {{or 0 \"\" \"x\"}} {{or 0 \"\"}}| {{not 0}} {{not 1}} {{not nil}}",
        Ok("0 2 x | true false true"),
    ),
    (
        "{{and}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <and>: wrong number of args for and: want at least 1 got 0",
        ),
    ),
    (
        "{{or}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <or>: wrong number of args for or: want at least 1 got 0",
        ),
    ),
    (
        "{{not}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <not>: wrong number of args for not: want 1 got 0",
        ),
    ),
    (
        "{{not 1 2}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <not>: wrong number of args for not: want 1 got 2",
        ),
    ),
    (
        "{{and 1 .X}}",
        Err(
            "template: expansion:1:8: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    ("{{or 1 .X}}", Ok("1")),
    (
        "{{0 | and 1}} {{0 | or 1}} {{3 | or 0}} {{nil | and 1}}",
        Err("template: expansion:1:42: executing \"expansion\" at <nil>: nil is not a command"),
    ),
    (
        "{{eq 1 1}} {{eq \"a\" \"b\" \"a\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 2 2}} {{lt \"a\" \"b\"}} {{lt 1.5 2.5}} {{eq true true}} {{eq 1.5 1.5}}",
        Ok("true true true true true false true true true true true"),
    ),
    (
        "{{eq 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq 1>: error calling eq: missing argument for comparison",
        ),
    ),
    (
        "{{eq}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq>: wrong number of args for eq: want at least 1 got 0",
        ),
    ),
    (
        "{{eq 1 \"a\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison: int and string",
        ),
    ),
    (
        "{{eq 1 1.0}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq 1 1.0>: error calling eq: incompatible types for comparison: int and float64",
        ),
    ),
    (
        "{{eq nil nil}} {{eq 1 nil}} {{eq nil 1}} {{eq .Service.Labels nil}}",
        Ok("true false false false"),
    ),
    (
        "{{eq .Service.Labels .Service.Labels}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq .Service.Labels .Service.Labels>: error calling eq: non-comparable type map[a:1 b.c:two z:]: map[string]string",
        ),
    ),
    ("{{eq .Node.Platform .Node.Platform}}", Ok("true")),
    ("{{eq .Node.Platform .Node}}", Ok("false")),
    (
        "{{eq .Service .Service}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq .Service .Service>: error calling eq: non-comparable type {svcid web map[a:1 b.c:two z:]}: struct { ID string; Name string; Labels map[string]string }",
        ),
    ),
    ("{{eq . .}}", Ok("true")),
    (
        "{{eq . .Node}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq . .Node>: error calling eq: non-comparable types &{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}: *template.Context, struct { ID string; Hostname string; Platform template.Platform }: {nodeid host1 {x86_64 linux}}",
        ),
    ),
    (
        "{{eq . .Service.Labels}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq . .Service.Labels>: error calling eq: non-comparable types &{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}}: *template.Context, map[string]string: map[a:1 b.c:two z:]",
        ),
    ),
    (
        "{{eq .Service.Labels 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq .Service.Labels 1>: error calling eq: incompatible types for comparison: map[string]string and int",
        ),
    ),
    (
        "{{eq 1 .Service.Labels}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <eq 1 .Service.Labels>: error calling eq: incompatible types for comparison: int and map[string]string",
        ),
    ),
    (
        "{{ne 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <ne>: wrong number of args for ne: want 2 got 1",
        ),
    ),
    (
        "{{lt true false}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <lt true false>: error calling lt: invalid type for comparison",
        ),
    ),
    (
        "{{lt nil 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <lt nil 1>: error calling lt: invalid type for comparison",
        ),
    ),
    (
        "{{lt .Node .Node}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <lt .Node .Node>: error calling lt: invalid type for comparison",
        ),
    ),
    (
        "{{lt 1 \"a\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <lt 1 \"a\">: error calling lt: incompatible types for comparison: int and string",
        ),
    ),
    (
        "{{lt (index \"abc\" 0) 98}} {{eq (index \"abc\" 0) 97}} {{gt 200 (index \"abc\" 0)}}",
        Ok("true true true"),
    ),
    ("{{index \"abc\" 0}} {{index \"abc\" 2}}", Ok("97 99")),
    (
        "{{index \"abc\" 3}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index \"abc\" 3>: error calling index: reflect: string index out of range",
        ),
    ),
    (
        "{{index \"abc\" 4}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index \"abc\" 4>: error calling index: index out of range: 4",
        ),
    ),
    (
        "{{index \"abc\" -1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index \"abc\" -1>: error calling index: index out of range: -1",
        ),
    ),
    (
        "{{index \"abc\" \"x\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index \"abc\" \"x\">: error calling index: cannot index slice/array with type string",
        ),
    ),
    (
        "{{index \"abc\" nil}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index \"abc\" nil>: error calling index: cannot index slice/array with nil",
        ),
    ),
    (
        "{{index nil}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index nil>: error calling index: index of untyped nil",
        ),
    ),
    (
        "{{index nil 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index nil 1>: error calling index: index of untyped nil",
        ),
    ),
    (
        "{{index}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index>: wrong number of args for index: want at least 1 got 0",
        ),
    ),
    (
        "{{index 1 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index 1 1>: error calling index: can't index item of type int",
        ),
    ),
    (
        "{{index . 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index . 1>: error calling index: can't index item of type template.Context",
        ),
    ),
    (
        "{{index .Node 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index .Node 1>: error calling index: can't index item of type struct { ID string; Hostname string; Platform template.Platform }",
        ),
    ),
    (
        "{{index .Service.Labels 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index .Service.Labels 1>: error calling index: value has type int; should be string",
        ),
    ),
    (
        "{{index .Service.Labels nil}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <index .Service.Labels nil>: error calling index: value is nil; should be of type string",
        ),
    ),
    ("{{index .Service.Labels \"a\" 0}}", Ok("49")),
    ("{{index .Service.Labels}}", Ok("map[a:1 b.c:two z:]")),
    (
        "{{slice \"abcdef\" 1 3}} {{slice \"abc\"}} {{slice \"abc\" 1}} {{slice \"abc\" 3}}",
        Ok("bc abc bc "),
    ),
    (
        "{{slice \"abc\" 2 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice \"abc\" 2 1>: error calling slice: invalid slice index: 2 > 1",
        ),
    ),
    (
        "{{slice \"abc\" 4}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice \"abc\" 4>: error calling slice: index out of range: 4",
        ),
    ),
    (
        "{{slice \"abc\" 0 1 2}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice \"abc\" 0 1 2>: error calling slice: cannot 3-index slice a string",
        ),
    ),
    (
        "{{slice \"abc\" 0 1 2 3}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice \"abc\" 0 1 2 3>: error calling slice: too many slice indexes: 4",
        ),
    ),
    (
        "{{slice 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice 1>: error calling slice: can't slice item of type int",
        ),
    ),
    (
        "{{slice nil}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice nil>: error calling slice: slice of untyped nil",
        ),
    ),
    ("{{slice \"é\" 0 1}}", Ok("\u{fffd}")),
    (
        "{{slice .Service.Labels 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice .Service.Labels 1>: error calling slice: can't slice item of type map[string]string",
        ),
    ),
    (
        "{{slice .}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <slice .>: error calling slice: can't slice item of type template.Context",
        ),
    ),
    ("{{len \"abc\"}} {{len .Service.Labels}}", Ok("3 3")),
    (
        "{{len 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <len 1>: error calling len: len of type int",
        ),
    ),
    (
        "{{len nil}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <len nil>: error calling len: reflect: call of reflect.Value.Type on zero Value",
        ),
    ),
    (
        "{{len .}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <len .>: error calling len: len of type template.Context",
        ),
    ),
    (
        "{{len .Node}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <len .Node>: error calling len: len of type struct { ID string; Hostname string; Platform template.Platform }",
        ),
    ),
    (
        "{{len}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <len>: wrong number of args for len: want 1 got 0",
        ),
    ),
    (
        "{{len 1 2}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <len>: wrong number of args for len: want 1 got 2",
        ),
    ),
    (
        "{{call 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <call 1>: error calling call: non-function 1 of type int",
        ),
    ),
    (
        "{{call nil}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <call nil>: error calling call: call of nil",
        ),
    ),
    (
        "{{call}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <call>: wrong number of args for call: want at least 1 got 0",
        ),
    ),
    (
        "{{call \"x\" 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <call \"x\" 1>: error calling call: non-function \"x\" of type string",
        ),
    ),
    (
        "{{call .Service.Name}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <call .Service.Name>: error calling call: non-function .Service.Name of type string",
        ),
    ),
    (
        "{{\"x\" | call}}",
        Err(
            "template: expansion:1:8: executing \"expansion\" at <call>: error calling call: non-function x of type string",
        ),
    ),
    (
        "{{1 | call}}",
        Err(
            "template: expansion:1:6: executing \"expansion\" at <call>: error calling call: non-function <int Value> of type int",
        ),
    ),
    (
        "{{call (print 1)}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <call (print 1)>: error calling call: non-function print 1 of type string",
        ),
    ),
    (
        "{{join \",\" \"a\" \"b\" \"c\"}} {{join \",\"}}| {{join \",\" \"a\"}}",
        Ok("a,b,c | a"),
    ),
    (
        "{{join}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <join>: error calling join: runtime error: slice bounds out of range [1:0]",
        ),
    ),
    (
        "{{join \",\" 1}}",
        Err("template: expansion:1:11: executing \"expansion\" at <1>: expected string; found 1"),
    ),
    (
        "{{join \",\" nil}}",
        Err(
            "template: expansion:1:11: executing \"expansion\" at <nil>: cannot assign nil to string",
        ),
    ),
    (
        "{{join \",\" true}}",
        Err(
            "template: expansion:1:11: executing \"expansion\" at <true>: expected string; found true",
        ),
    ),
    (
        "{{join \",\" (len \"a\")}}",
        Err(
            "template: expansion:1:16: executing \"expansion\" at <\"a\">: wrong type for value; expected string; got int",
        ),
    ),
    (
        "{{join \",\" .Service.Labels}}",
        Err(
            "template: expansion:1:19: executing \"expansion\" at <.Service.Labels>: wrong type for value; expected string; got map[string]string",
        ),
    ),
    (
        "{{join \",\" .}}",
        Err(
            "template: expansion:1:11: executing \"expansion\" at <.>: wrong type for value; expected string; got *template.Context",
        ),
    ),
    ("{{\"z\" | join \"-\" \"a\"}}", Ok("a-z")),
    (
        "{{1 | join \"-\" \"a\"}}",
        Err(
            "template: expansion:1:15: executing \"expansion\" at <\"a\">: wrong type for value; expected string; got int",
        ),
    ),
    (
        "{{foo}}",
        Err("template: expansion:1: function \"foo\" not defined"),
    ),
    (
        "{{env \"X\"}}",
        Err("template: expansion:1: function \"env\" not defined"),
    ),
    (
        "{{secret \"s\"}}",
        Err("template: expansion:1: function \"secret\" not defined"),
    ),
    (
        "{{.Service.Name \"x\"}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.Name>: Name has arguments but cannot be invoked as function",
        ),
    ),
    (
        "{{\"x\" | .Service.Name}}",
        Err(
            "template: expansion:1:16: executing \"expansion\" at <.Service.Name>: Name has arguments but cannot be invoked as function",
        ),
    ),
    (
        "{{.Service.Labels.a \"x\"}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.Labels.a>: a is not a method but has arguments",
        ),
    ),
    (
        "{{.Service.Name.Foo \"x\"}}",
        Err(
            "template: expansion:1:10: executing \"expansion\" at <.Service.Name.Foo>: can't evaluate field Foo in type string",
        ),
    ),
    (
        "{{$x := 1}}{{$x 2}}",
        Err(
            "template: expansion:1:13: executing \"expansion\" at <$x>: can't give argument to non-function $x",
        ),
    ),
    (
        "{{$x := 1}}{{2 | $x}}",
        Err(
            "template: expansion:1:17: executing \"expansion\" at <$x>: can't give argument to non-function $x",
        ),
    ),
    (
        "{{1 2}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <1>: can't give argument to non-function 1",
        ),
    ),
    (
        "{{\"a\" \"b\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <\"a\">: can't give argument to non-function \"a\"",
        ),
    ),
    (
        "{{true 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <true>: can't give argument to non-function true",
        ),
    ),
    (
        "{{. 1}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.>: can't give argument to non-function .",
        ),
    ),
    (
        "{{.Service. Name}}",
        Err("template: expansion:1: unexpected <.> in operand"),
    ),
    (
        "{{.Service .Name}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.Service>: Service has arguments but cannot be invoked as function",
        ),
    ),
    (
        "{{1.Foo}}",
        Err("template: expansion:1: bad number syntax: \"1.F\""),
    ),
    (
        "{{\"a\".Foo}}",
        Err("template: expansion:1: unexpected . after term \"\\\"a\\\"\""),
    ),
    (
        "{{true.Foo}}",
        Err("template: expansion:1: unexpected . after term \"true\""),
    ),
    (
        "{{nil.Foo}}",
        Err("template: expansion:1: unexpected . after term \"nil\""),
    ),
    (
        "{{$.Foo}}",
        Err(
            "template: expansion:1:3: executing \"expansion\" at <$.Foo>: can't evaluate field Foo in type *template.Context",
        ),
    ),
    (
        "{{print.Foo}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <print>: can't evaluate field Foo in type string",
        ),
    ),
    (
        "{{.Service!}}",
        Err("template: expansion:1: bad character U+0021 '!'"),
    ),
    (
        "{{.Service@}}",
        Err("template: expansion:1: bad character U+0040 '@'"),
    ),
    (
        "{{@}}",
        Err("template: expansion:1: unexpected \"@\" in command"),
    ),
    (
        "{{!}}",
        Err("template: expansion:1: unexpected \"!\" in command"),
    ),
    (
        "{{a!}}",
        Err("template: expansion:1: bad character U+0021 '!'"),
    ),
    (
        "{{é}}",
        Err("template: expansion:1: function \"é\" not defined"),
    ),
    (
        "{{.é}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.é>: can't evaluate field é in type *template.Context",
        ),
    ),
    (
        "{{$é}}",
        Err("template: expansion:1: undefined variable \"$é\""),
    ),
    ("{{\t.Service.Name\t}}", Ok("web")),
    (
        "{{x:}}",
        Err("template: expansion:1: function \"x\" not defined"),
    ),
    (
        "{{$x :1}}",
        Err("template: expansion:1: undefined variable \"$x\""),
    ),
    ("{{: 1}}", Err("template: expansion:1: expected :=")),
    (
        "{{, 1}}",
        Err("template: expansion:1: unexpected \",\" in command"),
    ),
    (
        "{{$x, 1}}",
        Err("template: expansion:1: too many declarations in command"),
    ),
    (
        "{{= 1}}",
        Err("template: expansion:1: unexpected \"=\" in command"),
    ),
    (
        "{{print \"a\"\"b\"}}",
        Err("template: expansion:1: unexpected \"\\\"b\\\"\" in operand"),
    ),
    (
        "{{print(1)}}",
        Err("template: expansion:1: unexpected \"(\" in operand"),
    ),
    (
        "{{print (1)(2)}}",
        Err("template: expansion:1: unexpected \"(\" in operand"),
    ),
    ("{{print 1.}}", Ok("1")),
    ("{{ .Service.Name -}}   x", Ok("webx")),
    ("x   {{- .Service.Name }}", Ok("xweb")),
    ("{{- .Service.Name -}}", Ok("web")),
    ("{{-1}}", Ok("-1")),
    ("{{- 1}}", Ok("1")),
    ("{{1 -}} x", Ok("1x")),
    (
        "{{3-}}",
        Err("template: expansion:1: bad number syntax: \"3-\""),
    ),
    (
        "{{1+2}}",
        Err("template: expansion:1: bad number syntax: \"1+2\""),
    ),
    ("}}", Ok("}}")),
    (
        "{{.Service.Name}",
        Err("template: expansion:1: bad character U+007D '}'"),
    ),
    ("{{\"}}\"}}", Ok("}}")),
    ("{{print \"{{\"}}", Ok("{{")),
    (
        "{{{.X}}}",
        Err("template: expansion:1: unexpected \"{\" in command"),
    ),
    (
        "%d {{\"100%\"}} {{.X%}}",
        Err("template: expansion:1: bad character U+0025 '%'"),
    ),
    (
        "{{template \"%d\"}}",
        Err(
            "template: expansion:1:11: executing \"expansion\" at <{{template \"%d\"}}>: template \"%d\" not defined",
        ),
    ),
    (
        "{{define \"%d\"}}{{.X}}{{end}}{{template \"%d\" .}}",
        Err(
            "template: expansion:1:17: executing \"%d\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "{{define \"a\\\"b\"}}{{.X}}{{end}}{{template \"a\\\"b\" .}}",
        Err(
            "template: expansion:1:19: executing \"a\\\"b\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "{{printf}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <printf>: wrong number of args for printf: want at least 1 got 0",
        ),
    ),
    (
        "{{printf 1}}",
        Err("template: expansion:1:9: executing \"expansion\" at <1>: expected string; found 1"),
    ),
    (
        "{{printf nil}}",
        Err(
            "template: expansion:1:9: executing \"expansion\" at <nil>: cannot assign nil to string",
        ),
    ),
    ("{{printf \"%d\"}}", Ok("%!d(MISSING)")),
    (
        "{{printf \"%d\" \"x\"}} {{printf \"%s\" 1}} {{printf \"%d %d\" 1}} {{printf \"%d\" 1 2}} {{printf \"x\" nil}} {{printf \"%\"}} {{printf \"%z\" 1}} {{printf \"%!\"}} {{printf \"%d\" nil}} {{printf \"%v\" nil}} {{printf \"%5v|\" nil}} {{printf \"%T\" nil}} {{printf \"%p\" 1}}",
        Ok(
            "%!d(string=x) %!s(int=1) 1 %!d(MISSING) 1%!(EXTRA int=2) x%!(EXTRA <nil>) %!(NOVERB) %!z(int=1) %!!(MISSING) %!d(<nil>) <nil> <nil>| <nil> %!p(int=1)",
        ),
    ),
    (
        "{{printf \"%5d|%-5d|%05d|%+d|% d|%x|%X|%#x|%o|%#o|%O|%b|%#b|%c|%q|%U|%#U\" 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42}}",
        Ok(
            "   42|42   |00042|+42| 42|2a|2A|0x2a|52|052|0o52|101010|0b101010|*|'*'|U+002A|U+002A '*'",
        ),
    ),
    (
        "{{printf \"%5s|%-5s|%.2s|%5.1s|%q|%+q|%#q|%x|%X|% x|%#x|%# x|%05s\" \"abc\" \"abc\" \"abc\" \"abc\" \"a\\\"é\" \"a\\\"é\" \"abc\" \"abc\" \"abc\" \"abc\" \"abc\" \"abc\" \"abc\"}}",
        Ok(
            "  abc|abc  |ab|    a|\"a\\\"é\"|\"a\\\"\\u00e9\"|`abc`|616263|616263|61 62 63|0x616263|0x61 0x62 0x63|00abc",
        ),
    ),
    (
        "{{printf \"%f|%.2f|%8.3f|%-8.2f|%e|%.1e|%g|%.3g|%G|%E|%F|%+.1f|%08.3f|% .1f|%+08.2f\" 3.14159 3.14159 3.14159 3.14159 31415.9 31415.9 3.14159 3.14159 1e30 1.5 2.5 3.5 3.14159 2.25 2.25}}",
        Ok(
            "3.141590|3.14|   3.142|3.14    |3.141590e+04|3.1e+04|3.14159|3.14|1E+30|1.500000E+00|2.500000|+3.5|0003.142| 2.2|+0002.25",
        ),
    ),
    (
        "{{printf \"%v %v %v %v\" 1e6 1e20 1e21 1e-7}} {{printf \"%g %g %g\" 100000.0 1e21 123456789.0}} {{printf \"%.3g %.10g %.0f %.1g\" 1234567.0 1234567.0 2.5 0.00001}}",
        Ok("1e+06 1e+20 1e+21 1e-07 100000 1e+21 1.23456789e+08 1.23e+06 1234567 2 1e-05"),
    ),
    (
        "{{printf \"%t %v %5t\" true false true}} {{printf \"%d\" true}}",
        Ok("true false  true %!d(bool=true)"),
    ),
    (
        "{{printf \"%v %+v %#v %T\" .Node.Platform .Node.Platform .Node.Platform .Node.Platform}}",
        Ok(
            "{x86_64 linux} {Architecture:x86_64 OS:linux} template.Platform{Architecture:\"x86_64\", OS:\"linux\"} template.Platform",
        ),
    ),
    (
        "{{printf \"%v %+v %#v %T %d\" .Service.Labels .Service.Labels .Service.Labels .Service.Labels .Service.Labels}}",
        Ok(
            "map[a:1 b.c:two z:] map[a:1 b.c:two z:] map[string]string{\"a\":\"1\", \"b.c\":\"two\", \"z\":\"\"} map[string]string map[%!d(string=a):%!d(string=1) %!d(string=b.c):%!d(string=two) %!d(string=z):%!d(string=)]",
        ),
    ),
    (
        "{{printf \"%v %+v %T\" . . .}}",
        Ok(
            "&{{svcid web map[a:1 b.c:two z:]} {nodeid host1 {x86_64 linux}} {taskid web.1.taskid 1}} &{Service:{ID:svcid Name:web Labels:map[a:1 b.c:two z:]} Node:{ID:nodeid Hostname:host1 Platform:{Architecture:x86_64 OS:linux}} Task:{ID:taskid Name:web.1.taskid Slot:1}} *template.Context",
        ),
    ),
    (
        "{{printf \"%s %d %q %x\" .Node .Node .Node .Node}}",
        Ok(
            "{nodeid host1 {x86_64 linux}} {%!d(string=nodeid) %!d(string=host1) {%!d(string=x86_64) %!d(string=linux)}} {\"nodeid\" \"host1\" {\"x86_64\" \"linux\"}} {6e6f64656964 686f737431 {7838365f3634 6c696e7578}}",
        ),
    ),
    (
        "{{printf \"%#v %#v %#v %#v\" 1 \"a\" true 1.5}}",
        Ok("1 \"a\" true 1.5"),
    ),
    (
        "{{printf \"%#v\" (index \"a\" 0)}} {{printf \"%T %T %T %T %T\" 1 \"a\" 1.5 true (index \"a\" 0)}} {{printf \"%c\" (index \"abc\" 0)}}",
        Ok("0x61 int string float64 bool uint8 a"),
    ),
    (
        "{{printf \"%[2]d %[1]d\" 1 2}} {{printf \"%[3]d\" 1}} {{printf \"%[x]d\" 1}} {{printf \"%[1\" 1}} {{printf \"%[1]\" 1}} {{printf \"%[2]*[1]d\" 1 5}} {{printf \"%*d\" 5 1}} {{printf \"%-*d|\" 5 1}} {{printf \"%*d|\" -5 1}} {{printf \"%*d\" \"x\" 1}} {{printf \"%.*f\" 2 3.14159}} {{printf \"%.*f\" -2 3.14159}} {{printf \"%[1]d %d\" 1 2}} {{printf \"%[]d\" 1}} {{printf \"%[1]2d\" 1}} {{printf \"%.[1]d\" 1}} {{printf \"%.[2]*[1]d\" 1 3}}",
        Ok(
            "2 1 %!d(BADINDEX) %!d(BADINDEX) %!(NOVERB) %!(NOVERB)     1     1 1    | 1    | %!(BADWIDTH)1 3.14 %!(BADPREC)3.141590 1 2 %!d(BADINDEX) %!d(BADINDEX) 1 001",
        ),
    ),
    (
        "{{printf \"%5%|%-%|%\"}} {{printf \"%%\"}} {{printf \"%.d|%.0d|%5.d|%.3d|%8.3d|%+.3d\" 0 0 0 5 5 5}}",
        Ok("%|%|%!(NOVERB) % ||     |005|     005|+005"),
    ),
    ("{{printf \"%w\" 1}}", Ok("%!w(int=1)")),
    (
        "{{printf \"%05d|%-05d|%+05d|%x|%#08x\" -42 -42 42 -42 42}} {{printf \"%06.2f|%-06.2f|\" 1.5 1.5}} {{printf \"%5q|%-5q|%05q\" \"a\" \"a\" \"a\"}} {{printf \"%3c|%-3c|\" 65 65}} {{printf \"%c\" -1}} {{printf \"%U\" -1}} {{printf \"%q\" 10}} {{printf \"%.8U\" 65}} {{printf \"%8U|\" 65}}",
        Ok(
            "-0042|-42  |+0042|-2a|0x0000002a 001.50|1.50  |   \"a\"|\"a\"  |00\"a\"   A|A  | \u{fffd} U+FFFFFFFFFFFFFFFF '\\n' U+00000041   U+0041|",
        ),
    ),
    (
        "{{printf \"%5v|%-7v|%05v\" .Service.Labels .Node.Platform 3}} {{printf \"%é\" 1}} {{printf \"é%d\" 1}} {{printf \"%+v\" 1}} {{printf \"% d\" \"x\"}} {{printf \"%5d\" \"hi\"}}",
        Ok(
            "map[    a:    1   b.c:  two     z:     ]|{x86_64  linux  }|00003 %!é(int=1) é1 1 %!d(string=x) %!d(string=   hi)",
        ),
    ),
    (
        "{{printf \"%s\" .Service.Name .Service.Name}} {{printf \"%d\" . }}",
        Ok(
            "web%!(EXTRA string=web) &{{%!d(string=svcid) %!d(string=web) map[%!d(string=a):%!d(string=1) %!d(string=b.c):%!d(string=two) %!d(string=z):%!d(string=)]} {%!d(string=nodeid) %!d(string=host1) {%!d(string=x86_64) %!d(string=linux)}} {%!d(string=taskid) %!d(string=web.1.taskid) %!d(string=1)}}",
        ),
    ),
    (
        "{{printf \"%6.3v|%10v|%-10v|\" \"abcdef\" \"é\" \"é\"}} {{printf \"%.1x\" \"abc\"}} {{printf \"%8x|%-8x|%08x\" \"abc\" \"abc\" \"abc\"}} {{printf \"%x\" \"\"}} {{printf \"%5x|\" \"\"}}",
        Ok("   abc|         é|é         | 61   616263|616263  |00616263       |"),
    ),
    (
        "{{printf \"%v %v\" 0.1 -0.0}} {{-0.0}} {{0.0}} {{printf \"%+v\" 1.5}} {{printf \"%5.1f%%\" 99.55}} {{printf \"%.0e\" 15.0}}",
        Ok("0.1 -0 -0 0 1.5  99.5% 2e+01"),
    ),
    (
        "{{.Expand1 \"x\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.Expand1>: can't evaluate field Expand1 in type *template.Context",
        ),
    ),
    (
        "{{.t}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.t>: can't evaluate field t in type *template.Context",
        ),
    ),
    ("{{ . | printf \"%T\" }}", Ok("*template.Context")),
    (
        "{{$x := .Service}}{{$x.Name}} {{$x.Nope}}",
        Err(
            "template: expansion:1:34: executing \"expansion\" at <$x.Nope>: can't evaluate field Nope in type struct { ID string; Name string; Labels map[string]string }",
        ),
    ),
    (
        "{{$x := \"a\"}}{{range $x, $y := .Service.Labels}}{{$x}}{{end}}{{$x}}",
        Ok("ab.cza"),
    ),
    (
        "{{with .Node}}{{with .Platform}}{{.OS}}{{$.Service.ID}}{{end}}{{end}}",
        Ok("linuxsvcid"),
    ),
    (
        "{{range .Service.Labels}}{{.X}}{{end}}",
        Err(
            "template: expansion:1:27: executing \"expansion\" at <.X>: can't evaluate field X in type string",
        ),
    ),
    (
        "{{with 1}}{{.X}}{{end}}",
        Err(
            "template: expansion:1:12: executing \"expansion\" at <.X>: can't evaluate field X in type int",
        ),
    ),
    ("{{(print \"a\" | printf \"%s%s\" \"b\")}}", Ok("ba")),
    ("{{index (index .Service.Labels \"b.c\") 0}}", Ok("116")),
    (
        "{{or .Service.Labels.nope \"default\"}}",
        Err(
            "template: expansion:1:13: executing \"expansion\" at <.Service.Labels.nope>: map has no entry for key \"nope\"",
        ),
    ),
    (
        "{{or (index .Service.Labels \"nope\") \"default\"}}",
        Ok("default"),
    ),
    (
        "{{if and (eq .Task.Slot \"1\") (ne .Node.ID \"\")}}first{{end}}",
        Ok("first"),
    ),
    ("{{if gt (len .Service.Name) 2}}long{{end}}", Ok("long")),
    (
        "{{join \".\" .Service.Name .Task.Slot .Node.Hostname}}",
        Ok("web.1.host1"),
    ),
    ("{{print \"a\" | html | urlquery}}", Ok("a")),
    (
        "{{.Service.Labels.a}}{{.Service.Labels.b.c}}",
        Err(
            "template: expansion:1:31: executing \"expansion\" at <.Service.Labels.b.c>: map has no entry for key \"b\"",
        ),
    ),
    ("{{with $}}{{.Service.Name}}{{end}}", Ok("web")),
    ("{{$a := 1}}{{$b := 2}}{{$a = $b}}{{$a}}", Ok("2")),
    (
        "{{define \"r\"}}{{if gt . 0}}{{.}}{{template \"r\" 0}}{{end}}{{end}}{{template \"r\" 2}}",
        Ok("2"),
    ),
    (
        "{{range $i, $e := .Service.Labels}}{{$i}}{{else}}{{end}}{{$i}}",
        Err("template: expansion:1: undefined variable \"$i\""),
    ),
    (
        "{{with $x := 1}}{{end}}{{$x}}",
        Err("template: expansion:1: undefined variable \"$x\""),
    ),
    (
        "{{if true}}{{define \"x\"}}{{end}}{{end}}",
        Err("template: expansion:1: unexpected <define> in command"),
    ),
    (
        "{{else}}x",
        Err("template: expansion:1: unexpected {{else}}"),
    ),
    (
        "{{if true}}a{{end}}{{end}}",
        Err("template: expansion:1: unexpected {{end}}"),
    ),
    ("{{.Service.Name | len | printf \"%03d\"}}", Ok("003")),
    (
        "{{ \"quoted string that is long\" \"x\" }}",
        Err(
            "template: expansion:1:3: executing \"expansion\" at <\"quoted string that is long\">: can't give argument to non-function \"quoted string that is long\"",
        ),
    ),
    (
        "{{printf \"%s\" \"quoted string that is long\" | \"another long literal\"}}",
        Err("template: expansion:1: non executable command in pipeline stage 2"),
    ),
    (
        "{{ if .Service.Name }}{{ .Service.Name }}{{ else }}none{{ end }}",
        Ok("web"),
    ),
    (
        "{{block \"x\" .Node}}{{.Hostname}}{{end}}{{template \"x\" .Node}}",
        Ok("host1host1"),
    ),
    ("{{$x := 3}}{{with $x}}{{$x = 4}}{{end}}{{$x}}", Ok("4")),
    ("{{print 07}} {{print 0_7}} {{print 0x_1F}}", Ok("7 7 31")),
    (
        "{{print 0xg}}",
        Err("template: expansion:1: bad number syntax: \"0xg\""),
    ),
    (
        "{{print 1e}}",
        Err("template: expansion:1: illegal number syntax: \"1e\""),
    ),
    (
        "{{print 0x1.8p1}} {{print 0X1P-2}} {{print 1E5}}",
        Ok("3 0.25 100000"),
    ),
    (
        "{{print '\\''}} {{print \"\\\"\"}} {{print '\"'}}",
        Ok("39 \" 34"),
    ),
    (
        "{{print \"a",
        Err("template: expansion:1: unterminated quoted string"),
    ),
    ("b\"}}", Ok("b\"}}")),
    (
        "{{end}}{{.X}}",
        Err("template: expansion:1: unexpected {{end}}"),
    ),
    (
        "{{ range $k , $v := .Service.Labels }}{{ $k }}{{ end }}",
        Ok("ab.cz"),
    ),
    (
        "{{range $k,$v := .Service.Labels}}{{$k}}{{end}}",
        Ok("ab.cz"),
    ),
    (
        "{{range $x,}}{{end}}",
        Err("template: expansion:1: missing value for range"),
    ),
    (
        "{{range $x}}{{end}}",
        Err("template: expansion:1: undefined variable \"$x\""),
    ),
    (
        "{{range}}{{end}}",
        Err("template: expansion:1: missing value for range"),
    ),
    (
        "{{with}}{{end}}",
        Err("template: expansion:1: missing value for with"),
    ),
    (
        "{{range $k, $v}}{{end}}",
        Err("template: expansion:1: undefined variable \"$v\""),
    ),
    (
        "{{$}}{{$ }}{{$.}}",
        Err("template: expansion:1: unexpected <.> in operand"),
    ),
    ("{{$x:=1}}{{$x}}", Ok("1")),
    ("{{.Service.Name|printf \"%s\"}}", Ok("web")),
    ("", Ok("")),
    (
        "a\n\n{{.X}}",
        Err(
            "template: expansion:3:2: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "a\n{{if 1}}\n\n{{.Service.Nope}}{{end}}",
        Err(
            "template: expansion:4:10: executing \"expansion\" at <.Service.Nope>: can't evaluate field Nope in type struct { ID string; Name string; Labels map[string]string }",
        ),
    ),
    (
        "a\n{{\n.X\n",
        Err("template: expansion:4: unclosed action started at expansion:2"),
    ),
    (
        "{{\n\n\"abc\n",
        Err("template: expansion:3: unterminated quoted string in action started at expansion:1"),
    ),
    (
        "line\n{{print\n1 2 (\n3",
        Err("template: expansion:4: unclosed action started at expansion:2"),
    ),
    (
        "{{if 1}}\n{{else}}\n{{else}}",
        Err("template: expansion:3: expected end; found {{else}}"),
    ),
    (
        "{{block \"a\" .}}\n\n{{else}}{{end}}",
        Err("template: expansion:1: unexpected {{else}} in block clause"),
    ),
    (
        "{{/* a\nb */}}\n{{.X}}",
        Err(
            "template: expansion:3:2: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "x {{- \n .X}}",
        Err(
            "template: expansion:2:1: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "a\n  {{- 1 -}}\n b\n{{.X",
        Err("template: expansion:4: unclosed action"),
    ),
    (
        "{{define \"a\"}}\n{{.X}}{{end}}\n{{template \"a\" .}}",
        Err(
            "template: expansion:2:2: executing \"a\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "{{print `a\nb`}}\n{{foo}}",
        Err("template: expansion:3: function \"foo\" not defined"),
    ),
    (
        "é{{.X}}",
        Err(
            "template: expansion:1:4: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "世\n界{{.X}}",
        Err(
            "template: expansion:2:5: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
    ),
    (
        "{{\"a\u{1}\"}}{{printf \"%q\" \"\u{200b}\u{301}a\u{301}\"}}",
        Ok("a\u{1}\"\\u200b\u{301}a\u{301}\""),
    ),
    (
        "{{\u{1}}}",
        Err("template: expansion:1: unrecognized character in action: U+0001"),
    ),
    (
        "{{ .Service\r\n.Name }}",
        Err(
            "template: expansion:1:3: executing \"expansion\" at <.Service>: Service has arguments but cannot be invoked as function",
        ),
    ),
    ("a \r\n\t{{- 1}}", Ok("a1")),
    ("{{`a\r\nb`}}", Ok("a\nb")),
    (
        "{{print \"\u{a0}\"\u{a0}}}",
        Err("template: expansion:1: unrecognized character in action: U+00A0"),
    ),
];

/// Payloads, with `secret`, `config` and `env`.
pub const PAYLOADS: &[Row] = &[
    ("{{secret \"s\"}}", Ok("hunter2")),
    (
        "{{config \"c\"}} {{env \"E\"}} {{env \"nope\"}}|",
        Ok("conf val |"),
    ),
    (
        "{{secret \"nope\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <secret \"nope\">: error calling secret: secret target nope not found",
        ),
    ),
    (
        "{{config \"nope\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <config \"nope\">: error calling config: config target nope not found",
        ),
    ),
    (
        "{{config \"gone\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <config \"gone\">: error calling config: config gone is gone",
        ),
    ),
    (
        "{{secret 1}}",
        Err("template: expansion:1:9: executing \"expansion\" at <1>: expected string; found 1"),
    ),
    (
        "{{secret}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <secret>: wrong number of args for secret: want 1 got 0",
        ),
    ),
    (
        "{{secret \"s\" \"s\"}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <secret>: wrong number of args for secret: want 1 got 2",
        ),
    ),
    ("{{\"s\" | secret | printf \"%q\"}}", Ok("\"hunter2\"")),
    ("{{.Service.Name}}", Ok("web")),
    (
        "{{.Nope}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.Nope>: can't evaluate field Nope in type *template.PayloadContext",
        ),
    ),
    (
        "{{.t}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.t>: t is an unexported field of struct type *template.PayloadContext",
        ),
    ),
    (
        "{{.sensitive}}",
        Err(
            "template: expansion:1:2: executing \"expansion\" at <.sensitive>: sensitive is an unexported field of struct type *template.PayloadContext",
        ),
    ),
    (
        "{{env nil}}",
        Err(
            "template: expansion:1:6: executing \"expansion\" at <nil>: cannot assign nil to string",
        ),
    ),
    (
        "{{env .Service.Labels}}",
        Err(
            "template: expansion:1:14: executing \"expansion\" at <.Service.Labels>: wrong type for value; expected string; got map[string]string",
        ),
    ),
    ("{{if env \"E\"}}y{{end}}", Ok("y")),
    ("{{secret \"s\" | len}}", Ok("7")),
    (
        "{{join \",\" (secret \"s\") (config \"c\")}}",
        Ok("hunter2,conf"),
    ),
    ("{{with secret \"s\"}}{{.}}{{end}}", Ok("hunter2")),
    (
        "password={{ secret \"s\" }}\nhost={{ .Node.Hostname }}\n",
        Ok("password=hunter2\nhost=host1\n"),
    ),
];
