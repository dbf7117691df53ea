<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
set_exception_handler(null);
throw new RuntimeException('hunter2');
