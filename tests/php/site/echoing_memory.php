<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
ini_set('memory_limit', '8M');
while (true) {
    echo str_repeat('hunter2', 1000);
}
