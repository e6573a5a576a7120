from tinymeta.engine.compile.compiled import compile as compile
