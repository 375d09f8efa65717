//! Service names of command lines.

use proptest::prelude::*;

use super::*;

/// What the command line `line` runs, its words split at spaces.
fn name(line: &str) -> Option<String> {
    let arguments: Vec<&str> = line.split(' ').collect();
    let executable = arguments[0].rsplit('/').next().unwrap();
    Interpreter::of_executable(executable)
        .unwrap()
        .program(&arguments)
        .map(Into::into)
}

fn check(cases: &[(&str, Option<&str>)]) {
    for (line, expected) in cases {
        assert_eq!(name(line).as_deref(), *expected, "{line}");
    }
}

#[test]
fn python_programs() {
    check(&[
        ("python3 /srv/app/server.py", Some("server")),
        ("/usr/bin/python3.11 app.py --port 80", Some("app")),
        ("python3 -m http.server 8000", Some("http.server")),
        ("python3 -um http.server", Some("http.server")),
        ("python3 -mflask run", Some("flask")),
        ("python3 -u -m uvicorn app:app", Some("uvicorn")),
        ("python3 -W ignore -m mod", Some("mod")),
        ("python3 -Wm app.py", Some("app")),
        ("python3 -X dev -u app.py", Some("app")),
        ("python3 -Xdev app.py", Some("app")),
        ("python3 --check-hash-based-pycs always app.py", Some("app")),
        ("python3 -m", None),
        ("python3 -c print(1) app.py", None),
        ("python3 -Ic import,m", None),
        ("python3 -", None),
        ("python3", None),
        (
            "python3 /usr/local/bin/gunicorn -w 4 app:app",
            Some("gunicorn"),
        ),
        ("python3 /usr/bin/pip3.11 install x", Some("pip3.11")),
        ("python3 /srv/shop/__main__.py", Some("shop")),
        ("python3 __main__.py", Some("__main__")),
        ("python3 /srv/shop/", Some("shop")),
        ("python3 .", None),
        ("pypy3 app.py", Some("app")),
    ]);
}

#[test]
fn node_programs() {
    check(&[
        ("node /srv/x/index.js", Some("index")),
        (
            "node --max-old-space-size=4096 server.mjs --port 1",
            Some("server"),
        ),
        ("node -r dotenv/config --import ./i.js app.js", Some("app")),
        ("node --require=./i.js app.js", Some("app")),
        ("node -- app.js", Some("app")),
        ("node -e 1+1 app.js", None),
        ("node -pe 1", None),
        ("node --eval=1 app.js", None),
        ("node /usr/bin/npm start", Some("npm")),
        ("nodejs app.cjs", Some("app")),
        ("deno run -A --allow-net=:80 main.ts", Some("main")),
        ("deno serve --port 80 main.ts", Some("main")),
        ("bun run server.ts", Some("server")),
        ("bun server.ts", Some("server")),
    ]);
}

#[test]
fn java_programs() {
    check(&[
        ("java -jar /opt/shop.jar --server.port=80", Some("shop")),
        ("java -Xmx1g -jar shop-1.2.jar", Some("shop-1.2")),
        (
            "java -cp a:b -Dx=y com.example.Main arg",
            Some("com.example.Main"),
        ),
        ("java --class-path a Main", Some("Main")),
        ("java --class-path=a Main", Some("Main")),
        (
            "java -p mods -m com.shop/com.shop.Main",
            Some("com.shop.Main"),
        ),
        ("java --module=com.shop", Some("com.shop")),
        ("java -m", None),
        ("java @options Main", Some("Main")),
        ("java --source 21 /srv/Server.java", Some("Server")),
        (
            "java --add-opens java.base/java.lang=ALL-UNNAMED Main",
            Some("Main"),
        ),
        ("java -version", None),
        ("java -jar", None),
    ]);
}

#[test]
fn other_programs() {
    check(&[
        ("ruby -I lib -rbundler bin/rails server", Some("rails")),
        ("ruby config.ru", Some("config")),
        ("ruby -e puts", None),
        ("perl -Mstrict -w app.pl", Some("app")),
        ("perl -ne print file", None),
        ("perl -Ilib script", Some("script")),
        ("php artisan serve", Some("artisan")),
        ("php -d x=y -f index.php", Some("index")),
        ("php8.2 -S 0.0.0.0:80 -t public", None),
        ("php -S 0.0.0.0:80 router.php", Some("router")),
        ("php -r echo", None),
        ("dotnet /app/Shop.Api.dll", Some("Shop.Api")),
        ("dotnet exec --depsfile d Shop.dll", Some("Shop")),
        ("bash /opt/run.sh", Some("run")),
        ("bash -ec true x", None),
        ("sh -o errexit run", Some("run")),
        ("bash", None),
    ]);
}

#[test]
fn other_executables_are_no_interpreters() {
    for executable in [
        "nginx",
        "curl",
        "php-fpm8.2",
        "python-config",
        "javac",
        "nodemon",
        "",
        "3",
    ] {
        assert_eq!(Interpreter::of_executable(executable), None, "{executable}");
    }
    for executable in [
        "python",
        "python3",
        "python3.11",
        "php8.2",
        "node",
        "java",
        "ruby3.1",
    ] {
        assert!(
            Interpreter::of_executable(executable).is_some(),
            "{executable}"
        );
    }
}

#[test]
fn a_title_names_the_program() {
    let program = |arguments: &[&str]| Interpreter::Python.program(arguments);
    assert_eq!(
        program(&["gunicorn: master [app:app]"]).unwrap(),
        "gunicorn"
    );
    assert_eq!(
        program(&["gunicorn: worker [app]", "", ""]).unwrap(),
        "gunicorn"
    );
    assert_eq!(program(&["a b: c"]), None);
    assert_eq!(program(&[]), None);
}

#[test]
fn only_certain_runtimes_are_named() {
    let name = |executable: &str, path| {
        Interpreter::of_executable(executable)
            .unwrap()
            .runtime_name(executable, path)
    };
    assert_eq!(name("python3.11", None), Some("cpython"));
    assert_eq!(name("pypy3", None), None);
    assert_eq!(name("node", None), Some("nodejs"));
    assert_eq!(name("java", None), None);
    assert_eq!(
        name("java", Some("/usr/lib/jvm/java-17-openjdk-amd64/bin/java")),
        Some("OpenJDK Runtime Environment")
    );
}

proptest! {
    #[test]
    fn any_arguments_are_read(
        arguments in prop::collection::vec("(--?)?[a-zA-ZX:=./\\PC]{0,8}", 0..6),
    ) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for executable in ["python3", "node", "deno", "bun", "java", "ruby", "perl", "php", "dotnet", "sh"] {
            let found = Interpreter::of_executable(executable).unwrap().program(&arguments);
            prop_assert!(found.is_none_or(|name| !name.is_empty() && name.chars().count() <= 256));
        }
    }
}
