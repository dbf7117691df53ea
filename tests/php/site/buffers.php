<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

$api = Voxgate\Shim\ApiResponder::start();
ob_start();
echo 'hunter2';
ob_start();
echo 'hunter2';
throw new RuntimeException('hunter2');
