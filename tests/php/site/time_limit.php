<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
set_time_limit(1);
while (true) {
    continue;
}
