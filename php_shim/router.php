<?php

/**
 * For PHP's built-in server, which has a 404 page of its own:
 * `php -S 127.0.0.1:8081 -t php_shim/public php_shim/router.php`.
 */

declare(strict_types=1);

$public = __DIR__ . '/public';
$wanted = realpath($public . parse_url('http://localhost' . $_SERVER['REQUEST_URI'], PHP_URL_PATH));
if ($wanted !== false && str_starts_with($wanted, $public . '/api/') && is_file($wanted)) {
    return false;
}
require $public . '/index.php';
