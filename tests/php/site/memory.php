<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
ini_set('memory_limit', '8M');
$hunter2 = [];
while (true) {
    $hunter2[] = str_repeat('x', 1000);
}
