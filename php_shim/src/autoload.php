<?php

/**
 * Loads the shim's classes when they are first used. Include this file once; there is nothing else to set up.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $prefix = 'Voxgate\\Shim\\';
    if (str_starts_with($class, $prefix)) {
        $path = __DIR__ . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (is_file($path)) {
            require $path;
        }
    }
});
