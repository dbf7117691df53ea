<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

$api = Voxgate\Shim\ApiResponder::start();
header('X-Own: kept');
header('X-Frame-Options: SAMEORIGIN');
header('Content-Type: text/html');
echo "\u{feff}stray output";
echo $undefined;
$old = ['a' => 1] + (array) @file_get_contents('/nowhere');
trigger_error('an old notice', E_USER_NOTICE);
$api->jsonSuccess([], ['rows' => []]);
echo 'more';
flush();
ob_flush();
printf('%s', 'more');
