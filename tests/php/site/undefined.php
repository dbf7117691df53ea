<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
hunter2();
